//! Fits that are killed and go on, and fits that follow their data.

use kernels_core::{LazyGram, Points, Rbf, Rows, Shifted};
use kernels_solvers::{
    Askotch, ConjugateGradients, EigenPro, Error, Falkon, Identity, InMemory, IncrementalKrr, Krr,
    PartialFit, Preconditioning, uniform_landmarks,
};
use nalgebra::DMatrix;

use super::*;

/// What the child of the crash test runs: slowed down, so that it is killed in the middle.
struct Slow;

impl kernels_core::Progress for Slow {
    fn step(&mut self, _: &str, _: usize, _: usize) -> std::ops::ControlFlow<()> {
        std::thread::sleep(std::time::Duration::from_millis(50));
        std::ops::ControlFlow::Continue(())
    }
}

fn resumable(
    solver: &str,
    path: &std::path::Path,
    progress: &mut dyn kernels_core::Progress,
) -> DMatrix<f64> {
    let (xs, y) = smooth(300);
    let kernel = Rbf::new(0.8).unwrap();
    match solver {
        "falkon" => {
            let fit =
                Falkon::new(kernel, 60).lambda(1e-7).tolerance(0.0).max_iterations(40).checkpoint(path, 1);
            let fit = fit.preconditioning(Preconditioning::Centers);
            fit.fit(&xs, &y, progress).unwrap().0.coefficients().clone()
        }
        "falkon formed" => {
            // Pieces of 64 rows, the least.
            let fit = Falkon::new(kernel, 60).lambda(1e-7).budget(1).checkpoint(path, 1);
            let fit = fit.preconditioning(Preconditioning::Data);
            fit.fit(&xs, &y, progress).unwrap().0.coefficients().clone()
        }
        "eigenpro 2" => {
            let fit = EigenPro::new(kernel)
                .sample(100)
                .directions(20)
                .epochs(30)
                .tolerance(0.0)
                .checkpoint(path, 1);
            fit.fit(&xs, &y, progress).unwrap().0.coefficients().clone()
        }
        "askotch" => {
            let fit = Askotch::new(kernel).ridge(1e-2).block(30).tolerance(0.0).max_passes(12);
            fit.checkpoint(path, 1).fit(&xs, &y, progress).unwrap().0.coefficients().clone()
        }
        "conjugate gradients" => {
            let operator = Shifted::new(LazyGram::new(&kernel, &xs, 1 << 20).unwrap(), 1e-2);
            let solver = ConjugateGradients::new().tolerance(0.0).max_iterations(60).checkpoint(path, 1);
            solver.solve(&operator, &y, &Identity, None, progress).unwrap().0
        }
        _ => {
            let centers = xs.subset(&uniform_landmarks(300, 40, 2)).unwrap();
            let fit = EigenPro::new(kernel).sample(100).directions(20).epochs(4).batch(20).delay(2);
            let fit = fit.tolerance(0.0).checkpoint(path, 1);
            fit.fit_centers(&mut InMemory::new(xs, &y).unwrap(), &centers, progress)
                .unwrap()
                .0
                .coefficients()
                .clone()
        }
    }
}

/// Not a test by itself: does nothing unless the crash test starts it.
#[test]
fn child_of_the_crash_test() {
    if let (Ok(solver), Ok(path)) = (std::env::var("CRASH_SOLVER"), std::env::var("CRASH_PATH")) {
        resumable(&solver, path.as_ref(), &mut Slow);
    }
}

/// A process that is killed (SIGKILL) in the middle of a fit leaves a checkpoint from which another goes on to the same bits.
#[test]
fn killed_and_resumed_fits_give_the_same_bits() {
    for solver in ["falkon", "falkon formed", "eigenpro 2", "eigenpro 4", "askotch", "conjugate gradients"] {
        let folder = std::env::temp_dir().join(format!(
            "kernels-crash-{}-{}",
            std::process::id(),
            solver.replace(' ', "-")
        ));
        std::fs::create_dir_all(&folder).unwrap();
        let (through, broken) = (folder.join("through"), folder.join("broken"));
        let expected = resumable(solver, &through, &mut ());
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "resume::child_of_the_crash_test", "--nocapture"])
            .env("CRASH_SOLVER", solver)
            .env("CRASH_PATH", &broken)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let start = std::time::Instant::now();
        while !broken.exists() && start.elapsed().as_secs() < 60 {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        std::thread::sleep(std::time::Duration::from_millis(40));
        let was_running = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(was_running && broken.exists(), "{solver}: nothing was interrupted");
        assert_ne!(std::fs::read(&broken).unwrap(), std::fs::read(&through).unwrap(), "{solver}: was over");
        assert!(resumable(solver, &broken, &mut ()) == expected, "{solver}: other bits after a resume");
        // Another problem, and a damaged file, are refused.
        let (xs, y) = smooth(300);
        let other = Falkon::new(Rbf::new(0.9).unwrap(), 60).checkpoint(&broken, 1);
        assert!(matches!(other.fit(&xs, &y, &mut ()), Err(Error::Checkpoint { .. })));
        let mut bytes = std::fs::read(&through).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&through, bytes).unwrap();
        assert!(matches!(
            Falkon::new(Rbf::new(0.8).unwrap(), 60).checkpoint(&through, 1).fit(&xs, &y, &mut ()),
            Err(Error::Checkpoint { .. })
        ));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn appended_and_removed_rows() {
    let file = read(include_str!("../reference/incremental.json"));
    let (x, y) = (matrix(&file["X"]), vector(&file["y"]));
    let kernel = Rbf::new((0.5_f64 / 0.4).sqrt()).unwrap();
    let r = &file["incremental"];
    let part = |range: std::ops::Range<usize>| {
        (Rows::new(&x.rows_range(range.clone()).into_owned()), y[range].to_vec())
    };
    let start = r["start_n"].as_u64().unwrap() as usize;
    let mut krr = IncrementalKrr::new(kernel.clone(), r["alpha"].as_f64().unwrap(), 3, 1).unwrap();
    let (xs, ys) = part(0..start);
    krr.append(&xs, &ys).unwrap();
    for (k, expected) in r["dual_at_each_append"].as_array().unwrap().iter().enumerate() {
        if k > 0 {
            let (xs, ys) = part(start + k - 1..start + k);
            krr.append(&xs, &ys).unwrap();
        }
        close("appended", krr.model().unwrap().coefficients().as_slice(), &vector(expected), 1e-10);
    }
    krr.remove(3).unwrap();
    let expected = vector(&r["dual_after_removing_index_3"]);
    close("removed", krr.model().unwrap().coefficients().as_slice(), &expected, 1e-10);
    assert!(krr.remove(23).is_err());

    // Many changes later it still is the fit of the rows at hand.
    let (xs, ys) = smooth(130);
    let mut krr = IncrementalKrr::new(kernel.clone(), 0.1, 2, 2).unwrap();
    let mut alive: Vec<usize> = Vec::new();
    for i in 0..130 {
        krr.append(&xs.subset(&[i]).unwrap(), &ys.select_rows(&[i])).unwrap();
        alive.push(i);
        if i % 3 == 2 {
            let gone = (i * 7) % alive.len();
            krr.remove(gone).unwrap();
            alive.remove(gone);
        }
    }
    let batch = Krr::new(kernel.clone())
        .ridge(0.1)
        .fit(&xs.subset(&alive).unwrap(), &ys.select_rows(&alive))
        .unwrap();
    close("batch", krr.model().unwrap().coefficients().as_slice(), batch.coefficients().as_slice(), 1e-10);

    // A failed append leaves all as it was; a duplicate without ridge fails.
    let mut plain = IncrementalKrr::new(kernel.clone(), 0.0, 1, 1).unwrap();
    let one = Rows::from_row_major(vec![1.0], 1, 1).unwrap();
    plain.append(&one, &vec![2.0]).unwrap();
    assert!(plain.append(&one, &vec![2.0]).is_err() && plain.len() == 1);

    // Centres that take the rows in pieces give the Nyström fit of all of them.
    let chosen = uniform_landmarks(130, 20, 5);
    let mut fit = PartialFit::new(kernel.clone(), xs.subset(&chosen).unwrap(), 2).unwrap();
    for part in (0..130).collect::<Vec<_>>().chunks(31) {
        fit.update(&xs.subset(part).unwrap(), &ys.select_rows(part), None).unwrap();
    }
    let falkon = Falkon::new(kernel, 20).centers(chosen).lambda(1e-3).tolerance(1e-13).max_iterations(100);
    let (model, _) = falkon.fit(&xs, &ys, &mut ()).unwrap();
    let fitted = fit.model(0.13).unwrap().predict(&xs).unwrap();
    assert!((fitted - model.predict(&xs).unwrap()).amax() < 1e-7);
}

/// A fit that begins where another ended has next to nothing to do, and one that begins near needs less than from nothing.
#[test]
fn warm_starts() {
    let (xs, y) = smooth(300);
    let kernel = Rbf::new(0.8).unwrap();
    for from in [Preconditioning::Centers, Preconditioning::Sketch] {
        let fit = Falkon::new(kernel.clone(), 60).lambda(1e-5).preconditioning(from).max_iterations(200);
        let (model, cold) = fit.clone().tolerance(1e-9).fit(&xs, &y, &mut ()).unwrap();
        let (same, warm) = fit.clone().start(model.coefficients()).fit(&xs, &y, &mut ()).unwrap();
        assert_eq!(warm.iterations, 0, "{from:?}: {warm:?}");
        close("same", same.predict(&xs).unwrap().as_slice(), model.predict(&xs).unwrap().as_slice(), 1e-9);
        let near = fit.clone().lambda(1.01e-5).tolerance(1e-9).start(model.coefficients());
        let (_, near) = near.fit(&xs, &y, &mut ()).unwrap();
        assert!(near.iterations < cold.iterations, "{from:?}: {} {}", near.iterations, cold.iterations);
        assert!(fit.start(&DMatrix::zeros(59, 2)).fit(&xs, &y, &mut ()).is_err());
    }
    let fit = EigenPro::new(kernel.clone()).sample(100).directions(20).epochs(5);
    let (model, cold) = fit.fit(&xs, &y, &mut ()).unwrap();
    let (_, warm) = fit.clone().start(model.coefficients()).fit(&xs, &y, &mut ()).unwrap();
    assert!(warm.history[0] < cold.history[1], "{warm:?} {cold:?}");
    assert!(fit.clone().start(&DMatrix::repeat(300, 2, f64::NAN)).fit(&xs, &y, &mut ()).is_err());
    let centers = xs.subset(&uniform_landmarks(300, 40, 2)).unwrap();
    let mut source = InMemory::new(xs.clone(), &y).unwrap();
    let (model, cold) = fit.fit_centers(&mut source, &centers, &mut ()).unwrap();
    let (_, warm) = fit.start(model.coefficients()).fit_centers(&mut source, &centers, &mut ()).unwrap();
    assert!(warm.history[0] < cold.history[1], "{warm:?} {cold:?}");
    let fit = Askotch::new(kernel).ridge(1e-2).block(60).tolerance(1e-6).max_passes(400);
    let (model, cold) = fit.fit(&xs, &y, &mut ()).unwrap();
    let (_, warm) = fit.start(model.coefficients()).fit(&xs, &y, &mut ()).unwrap();
    assert!(cold.iterations > 0 && warm.iterations == 0, "{warm:?}");
}
