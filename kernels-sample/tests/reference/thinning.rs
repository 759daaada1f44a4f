//! Kernel thinning, herding, Stein thinning.

use kernels_core::{AnyKernel, Describe, Kernel, Points, Rbf, Rows, SquareRoot, spectral_power};
use kernels_sample::{
    KernelThinning, Preconditioner, SteinKernel, SteinThinning, WildBootstrap, herd, ksd2, ksd2_unbiased,
    mmd2_to_input, optimal_four_point_half, with_scores,
};

use crate::read::{all_close, cases, close, count, indices, lists, matrix, number, read, rows, vector};

fn gaussian(variance: f64) -> Rbf {
    Rbf::new(variance.sqrt()).unwrap()
}

#[test]
fn halving() {
    let file = read(include_str!("kt_halve.json"));
    for case in cases(&file["cases"]) {
        let (xs, param) = (rows(&case["X"]), number(&case["param"]));
        let text = match case["kernel"].as_str().unwrap() {
            "gaussian" => format!("rbf(length_scale={:e})", param.sqrt()),
            "laplace" => format!("exponential(length_scale={param:e})"),
            _ => format!("rbf(length_scale={:e}) + exponential(length_scale={param:e})", param.sqrt()),
        };
        let kernel: AnyKernel<f64> = text.parse().unwrap();
        let uniforms = vector(&case["uniforms"]);
        let got = KernelThinning::new(kernel)
            .delta(number(&case["delta"]))
            .split_with(&xs, 1, |_, _, pair| uniforms[pair])
            .unwrap();
        assert_eq!(got, lists(&case["coresets"]), "{}", case["name"]);
    }
}

#[test]
fn splitting() {
    let file = read(include_str!("kt_split.json"));
    for case in cases(&file["cases"]) {
        let (xs, m) = (rows(&case["X"]), count(&case["m"]));
        let uniforms: Vec<Vec<f64>> = cases(&case["uniforms"]).iter().map(vector).collect();
        let used = xs.len() >> m << m;
        let kernel = gaussian(number(&case["var"]));
        let got = KernelThinning::new(kernel.clone())
            .delta(number(&case["delta"]))
            .split_with(&xs, m, |level, parent, pair| uniforms[level][parent * (used >> (level + 1)) + pair])
            .unwrap();
        assert_eq!(got, lists(&case["coresets_paper_schedule"]), "{}", case["name"]);
        for (coreset, mmd2) in got.iter().zip(vector(&case["mmd2_to_input_paper"])) {
            // Differences of sums of order 1: absolute rounding.
            close("mmd2", mmd2_to_input(&kernel, &xs, coreset).unwrap(), mmd2, 1e-12, 1.0);
        }
    }
}

/// k − Pk(x) − Pk(y) + PPk for P = N(0, I).
struct Centred {
    kernel: Rbf,
    variance: f64,
}

impl Centred {
    fn mean(&self, x: &[f64]) -> f64 {
        let v = self.variance;
        (v / (v + 1.0)).powf(x.len() as f64 / 2.0)
            * (-x.iter().map(|x| x * x).sum::<f64>() / (2.0 * (v + 1.0))).exp()
    }
}

impl Describe for Centred {}
impl Kernel<Rows<f64>> for Centred {
    fn eval(&self, x: &[f64], y: &[f64]) -> f64 {
        let v = self.variance;
        self.kernel.eval(x, y) - self.mean(x) - self.mean(y) + (v / (v + 2.0)).powf(x.len() as f64 / 2.0)
    }
}

#[test]
fn swapping() {
    let file = read(include_str!("kt_swap.json"));
    for case in cases(&file["refine"]) {
        let (xs, variance) = (rows(&case["X"]), number(&case["var"]));
        let (unique, mean0) = (case["unique"] == true, case["mean0"] == true);
        let initial = indices(&case["initial"]);
        let got = if mean0 {
            let kernel = Centred { kernel: gaussian(variance), variance };
            KernelThinning::new(kernel).unique(unique).mean_zero(true).refine(&xs, initial).unwrap()
        } else {
            let kernel = gaussian(variance);
            let got =
                KernelThinning::new(kernel.clone()).unique(unique).refine(&xs, initial.clone()).unwrap();
            close(
                "before",
                mmd2_to_input(&kernel, &xs, &initial).unwrap(),
                number(&case["mmd2_before"]),
                1e-12,
                1.0,
            );
            close(
                "after",
                mmd2_to_input(&kernel, &xs, &got).unwrap(),
                number(&case["mmd2_after"]),
                1e-12,
                1.0,
            );
            got
        };
        assert_eq!(got, indices(&case["refined"]), "{}", case["name"]);
    }
    for case in cases(&file["best"]) {
        let thinning = KernelThinning::new(gaussian(number(&case["var"]))).passes(0);
        assert_eq!(
            thinning.swap(&rows(&case["X"]), lists(&case["candidates"])).unwrap(),
            indices(&case["best"])
        );
    }
    for case in cases(&file["opt_halve4"]) {
        let kernel = gaussian(number(&case["var"]));
        let got = optimal_four_point_half(&kernel, &rows(&case["X"]), number(&case["uniform"])).unwrap();
        assert_eq!(got.to_vec(), indices(&case["coreset"]));
    }
}

#[test]
fn herding() {
    let file = read(include_str!("herding.json"));
    for case in cases(&file["cases"]) {
        let (xs, order) = (rows(&case["X"]), indices(&case["order"]));
        let kernel = gaussian(number(&case["var"]));
        assert_eq!(
            herd(&kernel, &xs, order.len(), case["unique"] == true).unwrap(),
            order,
            "{}",
            case["name"]
        );
        close("mmd2", mmd2_to_input(&kernel, &xs, &order).unwrap(), number(&case["mmd2"]), 1e-12, 1.0);
    }
}

#[test]
fn stein() {
    let file = read(include_str!("stein.json"));
    for set in cases(&file["cases"]) {
        let (xs, scores) = (rows(&set["X"]), rows(&set["score"]));
        for case in cases(&set["cases"]) {
            let preconditioner = match case["preconditioner"].as_str().unwrap() {
                "id" => Preconditioner::Identity,
                "med" => Preconditioner::Median,
                "sclmed" => Preconditioner::ScaledMedian,
                "smpcov" => Preconditioner::SampleCovariance,
                text => Preconditioner::Scale(text.parse().unwrap()),
            };
            let thinning =
                SteinThinning::new().preconditioner(preconditioner).standardize(case["standardize"] == true);
            let expected = indices(&case["indices"]);
            let what = format!("{} {}", set["name"], case["preconditioner"]);
            assert_eq!(thinning.thin(&xs, &scores, expected.len()).unwrap(), expected, "{what}");
            let (kernel, points) = thinning.prepare(&xs, &scores).unwrap();
            let selected = points.subset(&expected).unwrap();
            close(
                &what,
                ksd2(&kernel, &selected).unwrap().sqrt(),
                number(&case["ksd_of_selection"]),
                1e-10,
                0.0,
            );
            close(&what, ksd2(&kernel, &points).unwrap(), number(&case["ksd2_V"]), 1e-10, 0.0);
            close(&what, ksd2_unbiased(&kernel, &points).unwrap(), number(&case["ksd2_U"]), 1e-10, 0.01);
            close(&what, kernel.eval(points.point(0), points.point(1)), number(&case["k0_0_1"]), 1e-10, 0.01);
        }
        let free = &set["gradient_free"];
        let (log_p, log_q) = (vector(&free["log_p"]), vector(&free["log_q"]));
        for (key, cap) in [("indices", f64::INFINITY), ("indices_rangecap2", 2.0)] {
            let expected = indices(&free[key]);
            let got = SteinThinning::new()
                .thin_gradient_free(&xs, &log_p, &log_q, &rows(&free["score_q"]), expected.len(), cap)
                .unwrap();
            assert_eq!(got, expected, "{} {key}", set["name"]);
        }
        let base = &set["gaussian_base_ksd"];
        let kernel = SteinKernel::gaussian(number(&base["var"])).unwrap();
        let points = with_scores(&xs, &scores).unwrap();
        close("V", ksd2(&kernel, &points).unwrap(), number(&base["V"]), 1e-10, 0.0);
        close("U", ksd2_unbiased(&kernel, &points).unwrap(), number(&base["U"]), 1e-10, 0.01);
        let signs = matrix(&base["rademacher"]).transpose();
        let outcome = WildBootstrap::new(kernel).test_with(&points, &signs).unwrap();
        all_close("bootstrap", &outcome.null, &vector(&base["wild_bootstrap_V"]), 1e-10);
    }
}

/// The split kernels of root, power and plus kernel thinning: core's powers of the spectral density.
#[test]
fn powers() {
    let file = read(include_str!("kt_power_kernels.json"));
    for case in cases(&file["entries"]) {
        let d = case["d"].as_u64().unwrap_or(1) as usize;
        let alpha = number(&case["alpha"]);
        let text = match case["kind"].as_str().unwrap() {
            "gaussian" => format!("rbf(length_scale={:e})", number(&case["sigma"])),
            "laplace" => format!("exponential(length_scale={:e})", number(&case["sigma"])),
            // (γr)^s K_s(γr) with s = ν − d/2 and γ = √(2s)/ℓ.
            "matern" => {
                let s = number(&case["nu"]) - 0.5 * d as f64;
                let length = (2.0 * s).sqrt() / number(&case["gamma"]);
                format!("matern(nu={s:e}, length_scale={length:e})")
            }
            _ => format!("bspline(order={}, length_scale=1)", count(&case["target_order"])),
        };
        let kernel: AnyKernel<f64> = text.parse().unwrap();
        let power = spectral_power(&kernel, alpha, d).unwrap();
        let origin = vec![0.0; d];
        for (key, kernel) in [("target", &kernel), ("power", &power)] {
            for (r, expected) in vector(&case["r"]).iter().zip(vector(&case[key])) {
                let mut x = origin.clone();
                x[0] = *r;
                // Values of order 1, except far out.
                close(&format!("{text} {key} {r}"), kernel.eval(&origin, &x), expected, 1e-10, 1e-3);
            }
        }
    }
    // Root and plus thinning are as good as the target's, far better than chance.
    let xs =
        Rows::from_row_major((0..1024).map(|i| (f64::from(i * i) * 0.618).sin()).collect(), 512, 2).unwrap();
    let kernel = gaussian(4.0);
    let root = kernel.spectral_power(0.5, 2).unwrap();
    let mmd = |c: Vec<usize>| mmd2_to_input(&kernel, &xs, &c).unwrap().sqrt();
    let target = mmd(KernelThinning::new(kernel.clone()).seed(1).thin(&xs, 4).unwrap());
    let rooted = KernelThinning::new(kernel.clone()).split_kernel(root.clone()).seed(1);
    let plus = KernelThinning::new(kernel.clone()).split_kernel(kernel.clone() + root).seed(1);
    for got in [mmd(rooted.thin(&xs, 4).unwrap()), mmd(plus.thin(&xs, 4).unwrap())] {
        assert!(got < 2.0 * target, "{got} {target}");
    }
}
