use kernels_ntk::{
    Activation, DeepKernelMachine, GramKernel, NeuralSignature, SparseGram, gaussian_divergence, input_gram,
    zonal_eigenvalues, zonal_kernel, zonal_multiplicity,
};
use serde_json::Value;

use crate::support::{activation, close, close_at, close_matrix, flat, matrix, number, read, rows, vector};

#[test]
fn deep_kernel_machines() {
    let file = read(include_str!("../reference/dkm.json"));
    let m = |key: &str| matrix(&file[key]);
    let g0 = input_gram(&m("X")).unwrap();
    close_matrix("G0", &g0, &m("G0"), 1e-13);
    close_matrix("relu", &GramKernel::Relu.of(&g0).unwrap(), &m("K_of_G0"), 1e-13);
    close_matrix("sqexp", &GramKernel::SquaredExponential.of(&g0).unwrap(), &m("sqexp_of_G0"), 1e-13);
    let nu = vector(&file["nu"]);
    let machine = DeepKernelMachine::new(GramKernel::Relu, number(&file["noise_var"]), nu).unwrap();
    let (g1, g2, y) = (m("G1"), m("G2"), m("Y"));
    // Kernel matrices of the file have condition number up to 1e3.
    let kl1 = gaussian_divergence(&g1, &GramKernel::Relu.of(&g0).unwrap()).unwrap();
    let kl2 = gaussian_divergence(&g2, &GramKernel::Relu.of(&g1).unwrap()).unwrap();
    close("KL", &[kl1, kl2], &[number(&file["kl1"]), number(&file["kl2"])], 1e-11);
    close_at("likelihood", machine.log_likelihood(&g2, &y).unwrap(), number(&file["log_lik"]), 1e-12, 0.0);
    let objective = machine.objective(&g0, &[g1, g2], &y).unwrap();
    close_at("objective", objective, number(&file["objective"]), 1e-11, 0.0);

    let r = &file["sparse_layer"];
    let kernels =
        SparseGram { inducing: matrix(&r["Kii"]), cross: matrix(&r["Kti"]), diagonal: vector(&r["kt"]) };
    let gii = matrix(&r["Gii"]);
    let out = kernels.propagate(&gii).unwrap();
    close_matrix("G_ti", &out.cross, &matrix(&r["Gti"]), 1e-12);
    close("g_t", &out.diagonal, &vector(&r["gt"]), 1e-12);
    let per_dof = -gaussian_divergence(&gii, &kernels.inducing).unwrap();
    let expected = number(&r["objective_per_dof"]);
    close_at("layer's objective", per_dof, expected, 1e-11, 0.0);
    let r = &file["output_layer"];
    let (mean, variance) = kernels.outputs(&matrix(&r["mu"]), &matrix(&r["A"])).unwrap();
    close_matrix("means", &mean, &matrix(&r["mean_f"]), 1e-12);
    close("variances", &variance, &vector(&r["var_f"]), 1e-12);
}

/// One linear layer has its optimum in the file, by an independent optimiser.
#[test]
fn optimal_grams_of_one_linear_layer() {
    let file = read(include_str!("../reference/dkm.json"));
    let (s, y) = (matrix(&file["linear_one_layer"]["S"]), matrix(&file["Y"]));
    for case in file["linear_one_layer"]["optima"].as_array().unwrap() {
        let nu = number(&case["nu"]);
        let machine =
            DeepKernelMachine::new(GramKernel::Linear, number(&file["noise_var"]), vec![nu]).unwrap();
        let fitted = machine.fit(&s, &y, 2000).unwrap();
        close_at("objective", fitted.objective, number(&case["objective"]), 1e-8, 1.0);
        // At an optimum Gram matrices are known to the root of the objective's error.
        close_matrix(&format!("nu {nu}"), &fitted.grams[0], &matrix(&case["G"]), 2e-4);
    }
}

#[test]
fn output_layers() {
    let file = read(include_str!("../reference/dkm.json"));
    // Gram matrices of other points with inducing ones come from the same rule as those of training points.
    let (x, xt) = (matrix(&file["X"]), matrix(&file["Xt"]));
    let both = input_gram(&x.clone().insert_rows(x.nrows(), xt.nrows(), 0.0)).unwrap();
    close_matrix("G0", &both.view((0, 0), (x.nrows(), x.nrows())).into_owned(), &matrix(&file["G0"]), 1e-13);
    let cross = &xt * x.transpose() / x.ncols() as f64;
    let kernels = SparseGram {
        inducing: input_gram(&x).unwrap() + nalgebra::DMatrix::identity(x.nrows(), x.nrows()) * 1e-2,
        cross,
        diagonal: xt.row_iter().map(|r| r.norm_squared() / x.ncols() as f64).collect(),
    };
    // Propagating the inducing kernel matrix itself changes nothing.
    let same = kernels.propagate(&kernels.inducing).unwrap();
    close_matrix("cross", &same.cross, &kernels.cross, 1e-11);
    close("diagonal", &same.diagonal, &kernels.diagonal, 1e-11);
}

#[test]
fn spectra_on_spheres() {
    let file = read(include_str!("../reference/zonal_eigenvalues.json"));
    for case in file["cases"].as_array().unwrap() {
        let (d, depth) = (number(&case["d"]) as usize, number(&case["depth"]) as usize);
        let relu = Activation::relu();
        let kappa = |t: f64| {
            let (nngp, ntk) = zonal_kernel(&relu, depth, t.clamp(-1.0, 1.0)).unwrap();
            if case["kernel"] == "ntk" { ntk } else { nngp }
        };
        let expected = vector(&case["eigenvalues"]);
        let got = zonal_eigenvalues(kappa, d, expected.len()).unwrap();
        close(&format!("d={d} depth {depth} {}", case["kernel"]), &got, &expected, 1e-12);
        close_at("value at 1", kappa(1.0), number(&case["value_at_1"]), 1e-13, 0.0);
        // The first thousand degrees hold almost all of κ(1) in low dimension.
        assert!((zonal_multiplicity(d, 1).unwrap() - d as f64).abs() < 1e-9);
    }
}

#[test]
fn neural_signature_kernels() {
    let file = read(include_str!("../reference/neural_sigkernel.json"));
    let (x, y) = (rows(&file["x"]), rows(&file["y"]));
    for case in file["cases"].as_array().unwrap() {
        let name = case["activation"].as_str().unwrap();
        let phi = if name == "id" { Activation::Identity } else { activation(name, &Value::Null) };
        let s = |key: &str| number(&case[key]);
        let kernel = NeuralSignature::new(phi, s("sigma_0"), s("sigma_A"), s("sigma_b")).unwrap();
        let explicit = kernel.clone().extrapolated(false);
        let what = format!("{name} {}", s("sigma_b"));
        close_at(&what, explicit.evaluate(&x, &y).unwrap(), s("explicit_scheme_final"), 1e-12, 1.0);
        for (steps, expected) in case["explicit_refined"].as_object().unwrap() {
            let finer = explicit.clone().refinement(steps.parse().unwrap()).unwrap();
            close_at(&what, finer.evaluate(&x, &y).unwrap(), number(expected), 1e-12, 1.0);
        }
        let inhomogeneous = kernel.inhomogeneous(&x, &y).unwrap();
        close_at(&what, inhomogeneous, s("inhomogeneous_explicit_over_uniform_unit_interval"), 1e-12, 1.0);
        // The file's limit is itself an extrapolation from 16 steps, good to 4e-5.
        let limit = kernel.refinement(8).unwrap().evaluate(&x, &y).unwrap();
        close_at(&what, limit, s("extrapolated_limit_approx"), 2e-4, 1.0);
        if let Some(exact) = case["closed_form_exact"].as_f64() {
            close_at(&what, limit, exact, 2e-4, 1.0);
        }
    }
    assert!(!flat(&file["x"]).is_empty());
}
