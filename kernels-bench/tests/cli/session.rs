//! What is not about data: lists, manual, tour, Ctrl-C.

use super::*;

#[test]
fn lists_completions_and_manual() {
    let folder = folder();
    let at = folder.path();
    assert!(run(at, &["kernels"]).contains("matern"));
    let one = run(at, &["kernels", "matern"]);
    assert!(
        one.contains("nu = 2.5")
            && one.contains("positive definite")
            && one.contains("matern(nu=2.5, length_scale=1)")
    );
    assert!(json(at, &["kernels"])["families"].as_array().unwrap().len() >= 28);
    assert!(run(at, &["completions", "bash"]).contains("kernels") && run(at, &["man"]).contains(".TH"));
    let help = run(at, &["--help"]);
    assert!(help.contains("A FIRST SESSION") && help.contains("EXIT CODES"));
}

#[test]
fn the_tour_writes_a_report_that_stands_alone() {
    let folder = folder();
    let at = folder.path();
    let out = run(at, &["tour", "--quick", "--out", "report.html"]);
    assert!(out.contains("baseline") && out.contains("matern 5/2"));
    let report = fs::read_to_string(at.join("report.html")).unwrap();
    for part in [
        "All data sets",
        "diabetes",
        "iris",
        "penguins",
        "calibration",
        "confusion matrix",
        "leave-one-out",
        "CO₂",
        "relevance",
    ] {
        assert!(report.contains(part), "{part}");
    }
    let without_names = report.replace("http://www.w3.org/2000/svg", "");
    assert!(
        !without_names.contains("http") && !without_names.contains("src=") && !without_names.contains("NaN")
    );
    assert_eq!(report.matches("<svg").count(), report.matches("</svg>").count());
}

/// Ctrl-C in the middle of writing a matrix: code 130, no output, nothing left behind.
#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_nothing() {
    let folder = folder();
    let at = folder.path();
    let rows: String =
        (0..12_000).map(|i| format!("{},{}\n", f64::from(i).sin(), f64::from(i).cos())).collect();
    fs::write(at.join("many.csv"), format!("a,b\n{rows}")).unwrap();
    let before = names(at);
    // Small panels and slow values (a library call for every entry), so that there is a middle to interrupt.
    let mut child = Command::new(env!("CARGO_BIN_EXE_kernels"))
        .current_dir(at)
        .args([
            "gram",
            "--kernel",
            "sigmoid() * sigmoid() + sigmoid()",
            "--x",
            "many.csv",
            "--out",
            "k.npy",
            "--memory",
            "20MiB",
            "--threads",
            "1",
        ])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Wait until it writes.
    let begun = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        names(at) != before
    });
    assert!(begun);
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert_eq!(names(at), before);
}

/// Thinning, tests, densities, modes, selection and transformation of one table.
#[test]
fn samples() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut table = "a,b\n".to_owned();
    let mut moved = "a,b\n".to_owned();
    for i in 0..256 {
        let (x, y) = ((f64::from(i) * 0.618).fract(), (f64::from(i) * 0.414).fract());
        let side = f64::from(i % 2) * 8.0;
        table += &format!("{},{y}\n", x + side);
        moved += &format!("{},{}\n", x + side + 1.0, y + 1.0);
    }
    fs::write(at.join("p.csv"), table).unwrap();
    fs::write(at.join("q.csv"), moved).unwrap();

    let thinned = json(at, &["thin", "--x", "p.csv", "--out", "kept.npy"]);
    assert_eq!((&thinned["size"], npy(at.join("kept.npy")).len()), (&16.into(), 32));
    assert!(thinned["mmd"].as_f64().unwrap() < 0.05);
    let random = json(at, &["thin", "--x", "p.csv", "--method", "random", "--size", "16"]);
    assert!(random["mmd"].as_f64() > thinned["mmd"].as_f64());
    let pressed = json(at, &["thin", "--x", "p.csv", "--method", "compress"]);
    assert_eq!(pressed["size"], 16);
    let error = text(&kernels(at, &["thin", "--x", "p.csv", "--method", "stein"]).stderr);
    assert!(error.contains("--scores"), "{error}");

    let different = json(at, &["test", "--x", "p.csv", "--y", "q.csv", "--permutations", "99"]);
    assert_eq!(different["p_value"], 0.01);
    let same = json(at, &["test", "--x", "p.csv", "--y", "p.csv", "--permutations", "99"]);
    assert!(same["p_value"].as_f64().unwrap() > 0.9);

    json(at, &["density", "--x", "p.csv", "--bandwidth", "0.5", "--out", "f.npy"]);
    json(at, &["density", "--x", "p.csv", "--bandwidth", "0.5", "--tolerance", "1e-6", "--out", "g.npy"]);
    for (f, g) in npy(at.join("f.npy")).iter().zip(npy(at.join("g.npy"))) {
        assert!((f - g).abs() <= 1.1e-6 * f);
    }
    json(at, &["density", "--x", "p.csv", "--sample", "7", "--out", "s.npy"]);
    assert_eq!(npy(at.join("s.npy")).len(), 14);
    let error = text(&kernels(at, &["density", "--x", "p.csv", "--bandwidth", "x", "--out", "n.npy"]).stderr);
    assert!(error.contains("scott"), "{error}");

    let modes = json(at, &["modes", "--x", "p.csv", "--bandwidth", "1", "--out", "labels.npy"]);
    assert_eq!(modes["modes"].as_array().unwrap().len(), 2);
    assert!(npy(at.join("labels.npy")).chunks(2).all(|l| l[0] != l[1]));

    for method in ["lcmd", "maxdet", "maxdist", "bait", "frank-wolfe", "kmeans", "dpp", "facility", "random"]
    {
        let chosen = json(at, &["select", "--x", "p.csv", "--size", "5", "--method", method]);
        assert_eq!(chosen["size"], 5, "{method}");
    }
    let near =
        json(at, &["select", "--x", "p.csv", "--targets", "q.csv", "--size", "3", "--method", "targets"]);
    assert_eq!(near["indices"].as_array().unwrap().len(), 3);

    json(at, &["transform", "--x", "p.csv", "--out", "t.npy"]);
    assert!(npy(at.join("t.npy")).iter().all(|t| (-1e-9..=1.0 + 1e-9).contains(t)));
    json(at, &["transform", "--x", "p.csv", "--at", "t.npy", "--inverse", "--out", "back.npy"]);
    assert!((npy(at.join("back.npy"))[0]).abs() < 1e-6);
}
