//! Exact optimal transport between uniform measures.

use nalgebra::DMatrix;

use crate::Error;

/// The least cost Σ Tᵢⱼ Cᵢⱼ of moving mass 1/n at each of n rows to mass 1/m at each of m columns: the earth mover's distance.
///
/// Masses are whole units of 1/lcm(n, m), moved along shortest augmenting paths; the result is exact but for rounding. 0 when either side is empty.
/// O((n + m)³) typically.
///
/// # Errors
/// [`kernels_core::Error::NotFinite`] for costs that are not.
///
/// ```
/// use nalgebra::dmatrix;
/// let cost = dmatrix![0.0, 1.0; 1.0, 0.0];
/// assert_eq!(kernels_graph::earth_mover(&cost)?, 0.0);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
pub fn earth_mover(cost: &DMatrix<f64>) -> Result<f64, Error> {
    let (n, m) = cost.shape();
    if let Some(at) = cost.iter().position(|c| !c.is_finite()) {
        return Err(kernels_core::Error::NotFinite { row: at % n, column: at / n, value: cost[at] }.into());
    }
    if n == 0 || m == 0 {
        return Ok(0.0);
    }
    let divisor = gcd(n as u64, m as u64);
    let (each, room) = (m as u64 / divisor, n as u64 / divisor);
    let total = n as u64 * each;
    let (mut supply, mut demand) = (vec![each; n], vec![room; m]);
    let mut flow = vec![0u64; n * m];
    // Potentials keep reduced costs from being negative: columns begin at their cheapest row.
    let mut up = vec![0.0f64; n];
    let mut down: Vec<f64> = (0..m).map(|j| cost.column(j).min()).collect();
    let mut moved = 0;
    while moved < total {
        // Dijkstra on the residual graph from all rows with supply; node n + j is column j.
        let mut length = vec![f64::INFINITY; n + m];
        let mut parent = vec![usize::MAX; n + m];
        let mut done = vec![false; n + m];
        (0..n).filter(|&i| supply[i] > 0).for_each(|i| length[i] = 0.0);
        let target = loop {
            let mut at = usize::MAX;
            for v in 0..n + m {
                if !done[v] && (at == usize::MAX || length[v] < length[at]) {
                    at = v;
                }
            }
            done[at] = true;
            if at >= n {
                let j = at - n;
                if demand[j] > 0 {
                    break at;
                }
                for i in 0..n {
                    if !done[i] && flow[i * m + j] > 0 {
                        // An arc that carries flow is tight: its reduced cost is 0.
                        if length[at] < length[i] {
                            length[i] = length[at];
                            parent[i] = at;
                        }
                    }
                }
            } else {
                for j in 0..m {
                    if !done[n + j] {
                        let next = length[at] + (cost[(at, j)] - up[at] - down[j]).max(0.0);
                        if next < length[n + j] {
                            length[n + j] = next;
                            parent[n + j] = at;
                        }
                    }
                }
            }
        };
        let end = length[target];
        for i in 0..n {
            up[i] += end - length[i].min(end);
        }
        for j in 0..m {
            down[j] -= end - length[n + j].min(end);
        }
        // The most that the path takes.
        let (mut amount, mut v) = (demand[target - n], target);
        while parent[v] != usize::MAX {
            let p = parent[v];
            if p >= n {
                amount = amount.min(flow[v * m + p - n]);
            }
            v = p;
        }
        amount = amount.min(supply[v]);
        supply[v] -= amount;
        demand[target - n] -= amount;
        moved += amount;
        let mut v = target;
        while parent[v] != usize::MAX {
            let p = parent[v];
            if p < n {
                flow[p * m + v - n] += amount;
            } else {
                flow[v * m + p - n] -= amount;
            }
            v = p;
        }
    }
    let mut sum = 0.0;
    for i in 0..n {
        for j in 0..m {
            if flow[i * m + j] > 0 {
                sum += flow[i * m + j] as f64 * cost[(i, j)];
            }
        }
    }
    Ok(sum / total as f64)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
