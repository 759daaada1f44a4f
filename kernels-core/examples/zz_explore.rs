#![allow(clippy::all, clippy::print_stdout, clippy::unwrap_used, missing_docs)]
use kernels_core::*;
use nalgebra::DMatrix;
fn read(name: &str) -> (Paths<f64>, Vec<usize>) {
    let text = std::fs::read_to_string(format!("/tmp/w/jv/{name}.csv")).unwrap();
    let (mut values, mut lengths, mut labels) = (Vec::new(), Vec::<usize>::new(), Vec::new());
    let (mut last, mut names) = (None, Vec::<String>::new());
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        if last.as_deref() != Some(cells[0]) {
            last = Some(cells[0].to_owned());
            lengths.push(0);
            let label = names.iter().position(|n| n == cells[1]).unwrap_or_else(|| {
                names.push(cells[1].to_owned());
                names.len() - 1
            });
            labels.push(label);
        }
        *lengths.last_mut().unwrap() += 1;
        values.extend(cells[3..].iter().map(|c| c.parse::<f64>().unwrap()));
    }
    let total = lengths.iter().sum::<usize>();
    let dim = values.len() / total;
    (Paths::new(Rows::from_row_major(values, total, dim).unwrap(), &lengths).unwrap(), labels)
}
fn main() {
    for name in ["JapaneseVowels", "BasicMotions"] {
        let (train, y) = read(&format!("{name}_train"));
        let (test, yt) = read(&format!("{name}_test"));
        let st = Standardization::fit(&train).unwrap();
        let (train, test) = (st.apply(&train).unwrap(), st.apply(&test).unwrap());
        let classes = y.iter().max().unwrap() + 1;
        let n = y.len();
        let codes = DMatrix::from_fn(n, classes, |i, k| if y[i] == k { 1.0 } else { -1.0 });
        for text in [
            "signature(static=rbf(length_scale=L), tol=1e-8, normalize=true)",
            "signature(static=rbf(length_scale=L), tol=1e-8, normalize=true, time=true)",
            "signature(static=rbf(length_scale=L), solver=truncated(5, 1), normalize=levels)",
            "signature(static=rbf(length_scale=L), solver=truncated(4, 1), normalize=levels, differences=false)",
            "gak(length_scale=L)",
        ] {
            for l in [1.0, 2.0, 4.0, 8.0] {
                let k: DynKernel<Paths<f64>> = text.replace('L', &format!("{l}")).parse().unwrap();
                let t = std::time::Instant::now();
                let g = gram(&k, &train).unwrap();
                let c = cross_gram(&k, &test, &train).unwrap();
                let dt = t.elapsed().as_secs_f64();
                let mut best = (f64::INFINITY, 0.0, 0.0, 0.0);
                for e in -7..1 {
                    let r = 10.0_f64.powi(e);
                    let Some(inv) = (&g + DMatrix::identity(n, n) * r).cholesky().map(|c| c.inverse()) else {
                        continue;
                    };
                    let a = &inv * &codes;
                    let mut sq = 0.0;
                    let mut right = 0;
                    for i in 0..n {
                        let s: Vec<f64> =
                            (0..classes).map(|k| codes[(i, k)] - a[(i, k)] / inv[(i, i)]).collect();
                        for k in 0..classes {
                            sq += (s[k] - codes[(i, k)]).powi(2);
                        }
                        let b = (0..classes).max_by(|&p, &q| s[p].total_cmp(&s[q])).unwrap();
                        right += usize::from(b == y[i]);
                    }
                    let p = &c * &a;
                    let tr = (0..yt.len())
                        .filter(|&i| {
                            (0..classes).max_by(|&u, &v| p[(i, u)].total_cmp(&p[(i, v)])).unwrap() == yt[i]
                        })
                        .count();
                    if sq < best.0 {
                        best = (sq, r, right as f64 / n as f64, tr as f64 / yt.len() as f64);
                    }
                }
                println!(
                    "{name} {text} L={l}: loo sq {:.2} ridge {:e} loo acc {:.4} test {:.4}  ({dt:.2} s)",
                    best.0, best.1, best.2, best.3
                );
            }
        }
    }
}
