//! What the machine really gives.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// CPU seconds over wall seconds of as many spinning threads as there are cores: a busy neighbour shows here.
pub(super) fn cores_granted() -> f64 {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (begin, cpu) = (Instant::now(), cpu_seconds());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let end = Instant::now() + Duration::from_millis(500);
                let mut x = 1.0_f64;
                while Instant::now() < end {
                    for _ in 0..1000 {
                        x = black_box(x * 1.000_000_1);
                    }
                }
            });
        }
    });
    (cpu_seconds() - cpu) / begin.elapsed().as_secs_f64()
}

/// User and system time of this process with all its threads, where the system tells.
pub(super) fn cpu_seconds() -> f64 {
    let Ok(text) = std::fs::read_to_string("/proc/self/stat") else { return f64::NAN };
    // The name in parentheses may hold spaces; user and system ticks are fields 14 and 15.
    let after = text.rsplit(')').next().unwrap_or_default();
    let ticks: Vec<f64> = after.split_whitespace().skip(11).take(2).filter_map(|t| t.parse().ok()).collect();
    // Linux has had 100 ticks a second for user space on all its platforms.
    if ticks.len() == 2 { (ticks[0] + ticks[1]) / 100.0 } else { f64::NAN }
}

pub(super) fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find(|l| l.starts_with("model name")).and_then(|l| l.split(':').nth(1));
    name.map_or("unknown".to_owned(), |n| n.trim().to_owned())
}
