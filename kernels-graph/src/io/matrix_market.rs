//! Matrix Market coordinate files.

use std::io::{BufRead, Write};

use super::{lines, parse, unwritten, wrong};
use crate::{Error, Graph, SparseMatrix};

/// Reads a square coordinate matrix as an adjacency: real, integer or pattern; `symmetric` stores one triangle, `general` must be symmetric unless `directed`.
///
/// # Errors
/// [`Error::Parse`] with the line; [`Error::Asymmetric`] for a general matrix that is not symmetric.
///
/// ```
/// let text = "%%MatrixMarket matrix coordinate real symmetric\n2 2 1\n2 1 0.5\n";
/// let graph = kernels_graph::read_matrix_market(text.as_bytes(), false)?;
/// assert_eq!(graph.weight(0, 1), 0.5);
/// # Ok::<(), kernels_graph::Error>(())
/// ```
pub fn read_matrix_market(reader: impl BufRead, directed: bool) -> Result<Graph, Error> {
    let (mut pattern, mut symmetric, mut size) = (false, false, None);
    let mut edges: Vec<(usize, usize, f64)> = Vec::new();
    let mut last = 0;
    lines(reader, |number, line| {
        last = number;
        if number == 1 {
            let head: Vec<String> = line.split_whitespace().map(str::to_lowercase).collect();
            let field = |at: usize| head.get(at).map_or("", String::as_str);
            if field(0) != "%%matrixmarket" || field(1) != "matrix" {
                return Err(wrong(1, "not a Matrix Market file: it must begin with %%MatrixMarket matrix"));
            }
            if field(2) != "coordinate" {
                return Err(wrong(1, format!("format {:?} is not read, only coordinate", field(2))));
            }
            pattern = match field(3) {
                "real" | "integer" | "double" => false,
                "pattern" => true,
                other => {
                    return Err(wrong(1, format!("values {other:?} are not read: real, integer or pattern")));
                }
            };
            symmetric = match field(4) {
                "symmetric" => true,
                "general" => false,
                other => {
                    return Err(wrong(1, format!("symmetry {other:?} is not read: general or symmetric")));
                }
            };
            return Ok(());
        }
        let line = line.trim();
        if line.is_empty() || line.starts_with('%') {
            return Ok(());
        }
        let fields: Vec<&str> = line.split_whitespace().collect();
        let Some((n, entries)) = size else {
            if fields.len() != 3 {
                return Err(wrong(number, "rows, columns and number of entries expected"));
            }
            let (rows, columns): (usize, usize) =
                (parse(number, "rows", fields[0])?, parse(number, "columns", fields[1])?);
            if rows != columns {
                return Err(wrong(
                    number,
                    format!("an adjacency is square, this matrix is {rows} x {columns}"),
                ));
            }
            size = Some((rows, parse::<usize>(number, "number of entries", fields[2])?));
            return Ok(());
        };
        if fields.len() != if pattern { 2 } else { 3 } {
            return Err(wrong(
                number,
                format!("{} fields expected, found {}", if pattern { 2 } else { 3 }, fields.len()),
            ));
        }
        let (i, j): (usize, usize) =
            (parse(number, "a row", fields[0])?, parse(number, "a column", fields[1])?);
        if i == 0 || j == 0 || i > n || j > n {
            return Err(wrong(number, format!("entry ({i}, {j}) is outside 1 to {n}")));
        }
        if symmetric && j > i {
            return Err(wrong(
                number,
                format!("entry ({i}, {j}) of a symmetric matrix is above the diagonal"),
            ));
        }
        let weight: f64 = if pattern { 1.0 } else { parse(number, "a value", fields[2])? };
        if edges.len() == entries {
            return Err(wrong(number, format!("more than the {entries} entries promised")));
        }
        edges.push((i - 1, j - 1, weight));
        Ok(())
    })?;
    let Some((n, entries)) = size else { return Err(wrong(last, "the file ends before its size line")) };
    if edges.len() != entries {
        return Err(wrong(last, format!("{entries} entries promised, {} found", edges.len())));
    }
    if symmetric {
        let graph = Graph::undirected(n, edges)?;
        return if directed { Graph::from_adjacency(graph.adjacency().clone(), true) } else { Ok(graph) };
    }
    let graph = Graph::directed(n, edges)?;
    if directed { Ok(graph) } else { graph.symmetrize(crate::Symmetrize::Error) }
}

/// Writes the adjacency: symmetric (lower triangle) for an undirected graph, general for a directed one.
///
/// # Errors
/// [`Error::Io`].
pub fn write_matrix_market(graph: &Graph, mut writer: impl Write) -> Result<(), Error> {
    let kind = if graph.is_directed() { "general" } else { "symmetric" };
    let n = graph.nodes();
    writeln!(writer, "%%MatrixMarket matrix coordinate real {kind}\n{n} {n} {}", graph.edges())
        .map_err(unwritten)?;
    for (u, v, w) in graph.edge_list() {
        let (i, j) = if graph.is_directed() { (u, v) } else { (v, u) };
        writeln!(writer, "{} {} {w:?}", i + 1, j + 1).map_err(unwritten)?;
    }
    Ok(())
}

/// Writes any sparse matrix, such as random-walk features: general, real, values that read back bit for bit.
///
/// # Errors
/// [`Error::Io`].
///
/// ```
/// use kernels_graph::{Graph, write_sparse_matrix};
/// let arrow = Graph::directed(2, [(0, 1, 0.5)])?;
/// let mut text = Vec::new();
/// write_sparse_matrix(arrow.adjacency(), &mut text)?;
/// assert_eq!(String::from_utf8_lossy(&text), "%%MatrixMarket matrix coordinate real general\n2 2 1\n1 2 0.5\n");
/// # Ok::<(), kernels_graph::Error>(())
/// ```
pub fn write_sparse_matrix(matrix: &SparseMatrix, mut writer: impl Write) -> Result<(), Error> {
    let (rows, columns, entries) = (matrix.rows(), matrix.cols(), matrix.nnz());
    writeln!(writer, "%%MatrixMarket matrix coordinate real general\n{rows} {columns} {entries}")
        .map_err(unwritten)?;
    for (outer, vector) in matrix.outer_iterator().enumerate() {
        for (inner, value) in vector.iter() {
            let (i, j) = if matrix.is_csr() { (outer, inner) } else { (inner, outer) };
            writeln!(writer, "{} {} {value:?}", i + 1, j + 1).map_err(unwritten)?;
        }
    }
    Ok(())
}
