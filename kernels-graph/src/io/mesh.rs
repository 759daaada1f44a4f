//! Triangle and polygon meshes: OFF, OBJ and ASCII PLY.

use std::io::{BufRead, Write};

use nalgebra::DMatrix;

use super::{lines, parse, unwritten, wrong};
use crate::{Duplicates, Error, Graph, GraphBuilder};

/// Vertices and faces.
#[derive(Clone, Debug, PartialEq)]
pub struct Mesh {
    vertices: Vec<[f64; 3]>,
    faces: Vec<Vec<usize>>,
}

impl Mesh {
    /// A mesh of its parts.
    ///
    /// # Errors
    /// [`Error::Node`] for a face with an unknown vertex.
    pub fn new(vertices: Vec<[f64; 3]>, faces: Vec<Vec<usize>>) -> Result<Self, Error> {
        match faces.iter().flatten().find(|v| **v >= vertices.len()) {
            Some(&node) => Err(Error::Node { what: "a face", node, nodes: vertices.len() }),
            None => Ok(Self { vertices, faces }),
        }
    }

    /// Reads an OFF file.
    ///
    /// # Errors
    /// [`Error::Parse`] with the line.
    ///
    /// ```
    /// let text = "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n";
    /// let mesh = kernels_graph::Mesh::read_off(text.as_bytes())?;
    /// assert_eq!(mesh.normals()[(0, 2)], 1.0);
    /// # Ok::<(), kernels_graph::Error>(())
    /// ```
    pub fn read_off(reader: impl BufRead) -> Result<Self, Error> {
        let (mut head, mut vertices, mut faces, mut begun, mut last) =
            (None, Vec::new(), Vec::new(), false, 0);
        lines(reader, |number, line| {
            last = number;
            let mut line = line.split('#').next().unwrap_or_default().trim();
            if !begun && !line.is_empty() {
                begun = true;
                line = line
                    .strip_prefix("OFF")
                    .ok_or_else(|| wrong(number, "an OFF file begins with OFF"))?
                    .trim();
            }
            if line.is_empty() {
                return Ok(());
            }
            let fields: Vec<&str> = line.split_whitespace().collect();
            let Some((v, f)) = head else {
                if fields.len() < 2 {
                    return Err(wrong(number, "numbers of vertices and faces expected"));
                }
                head = Some((
                    parse::<usize>(number, "vertices", fields[0])?,
                    parse::<usize>(number, "faces", fields[1])?,
                ));
                return Ok(());
            };
            if vertices.len() < v {
                vertices.push(point(number, &fields)?);
            } else if faces.len() < f {
                let count: usize = parse(number, "corners", fields[0])?;
                if fields.len() <= count {
                    return Err(wrong(
                        number,
                        format!("{count} corners promised, {} found", fields.len() - 1),
                    ));
                }
                faces.push(face(number, &fields[1..=count], v)?);
            }
            Ok(())
        })?;
        let (v, f) =
            head.ok_or_else(|| wrong(last, "the file ends before its numbers of vertices and faces"))?;
        if vertices.len() < v || faces.len() < f {
            let message =
                format!("{v} vertices and {f} faces promised, {} and {} found", vertices.len(), faces.len());
            return Err(wrong(last, message));
        }
        Self::new(vertices, faces)
    }

    /// Reads vertices (`v`) and faces (`f`) of a Wavefront OBJ file; negative indices count from the end.
    ///
    /// # Errors
    /// [`Error::Parse`] with the line.
    pub fn read_obj(reader: impl BufRead) -> Result<Self, Error> {
        let (mut vertices, mut faces): (Vec<[f64; 3]>, Vec<Vec<usize>>) = (Vec::new(), Vec::new());
        lines(reader, |number, line| {
            let fields: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            match fields.first() {
                Some(&"v") => vertices.push(point(number, &fields[1..])?),
                Some(&"f") => {
                    let corner = |text: &&str| {
                        let index: i64 =
                            parse(number, "a vertex", text.split('/').next().unwrap_or_default())?;
                        let n = vertices.len() as i64;
                        let at = if index < 0 { n + index } else { index - 1 };
                        usize::try_from(at).ok().filter(|at| *at < vertices.len()).ok_or_else(|| {
                            wrong(number, format!("vertex {index} is not among the {n} above"))
                        })
                    };
                    faces.push(fields[1..].iter().map(corner).collect::<Result<_, _>>()?);
                }
                _ => {}
            }
            Ok(())
        })?;
        Self::new(vertices, faces)
    }

    /// Reads an ASCII PLY file whose vertices begin with x, y, z and whose faces begin with their list.
    ///
    /// # Errors
    /// [`Error::Parse`] with the line; binary files are refused.
    pub fn read_ply(reader: impl BufRead) -> Result<Self, Error> {
        let (mut header, mut elements) = (true, Vec::<(String, usize)>::new());
        let (mut vertices, mut faces, mut last) = (Vec::new(), Vec::new(), 0);
        lines(reader, |number, line| {
            last = number;
            let fields: Vec<&str> = line.split_whitespace().collect();
            if number == 1 && fields != ["ply"] {
                return Err(wrong(1, "a PLY file begins with ply"));
            }
            if header {
                match fields.as_slice() {
                    ["format", kind, ..] if *kind != "ascii" => {
                        return Err(wrong(number, format!("format {kind} is not read, only ascii")));
                    }
                    ["element", name, count] => {
                        elements.push(((*name).to_owned(), parse(number, "a count", count)?));
                    }
                    ["end_header"] => header = false,
                    _ => {}
                }
                return Ok(());
            }
            if fields.is_empty() {
                return Ok(());
            }
            let Some(element) = elements.iter_mut().find(|(_, left)| *left > 0) else { return Ok(()) };
            element.1 -= 1;
            match element.0.as_str() {
                "vertex" => vertices.push(point(number, &fields)?),
                "face" => {
                    let count: usize = parse(number, "corners", fields[0])?;
                    if fields.len() <= count {
                        return Err(wrong(
                            number,
                            format!("{count} corners promised, {} found", fields.len() - 1),
                        ));
                    }
                    faces.push(face(number, &fields[1..=count], vertices.len())?);
                }
                _ => {}
            }
            Ok(())
        })?;
        match elements.iter().find(|(_, left)| *left > 0) {
            Some((name, left)) => {
                Err(wrong(last, format!("the file ends {left} lines of element {name} too soon")))
            }
            None => Self::new(vertices, faces),
        }
    }

    /// Writes an OFF file; numbers are read back to the same bits.
    ///
    /// # Errors
    /// [`Error::Io`].
    ///
    /// ```
    /// use kernels_graph::Mesh;
    /// let mesh = Mesh::new(vec![[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], vec![vec![0, 1, 2]])?;
    /// let mut text = Vec::new();
    /// mesh.write_off(&mut text)?;
    /// assert_eq!(Mesh::read_off(text.as_slice())?, mesh);
    /// # Ok::<(), kernels_graph::Error>(())
    /// ```
    pub fn write_off(&self, mut writer: impl Write) -> Result<(), Error> {
        let head = format!("OFF\n{} {} 0\n", self.vertices.len(), self.faces.len());
        self.write(&mut writer, &head, "", true)
    }

    /// Writes an OBJ file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_obj(&self, mut writer: impl Write) -> Result<(), Error> {
        self.write(&mut writer, "", "v ", false)
    }

    /// Writes an ASCII PLY file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_ply(&self, mut writer: impl Write) -> Result<(), Error> {
        let head = format!(
            "ply\nformat ascii 1.0\nelement vertex {}\nproperty double x\nproperty double y\nproperty double z\n\
             element face {}\nproperty list uchar int vertex_indices\nend_header\n",
            self.vertices.len(),
            self.faces.len()
        );
        self.write(&mut writer, &head, "", true)
    }

    /// Vertices, then faces: after the number of their corners, from 0, or after an f, from 1.
    fn write(&self, writer: &mut dyn Write, head: &str, vertex: &str, counted: bool) -> Result<(), Error> {
        write!(writer, "{head}").map_err(unwritten)?;
        for [x, y, z] in &self.vertices {
            writeln!(writer, "{vertex}{x} {y} {z}").map_err(unwritten)?;
        }
        for face in &self.faces {
            let first = if counted { face.len().to_string() } else { "f".to_owned() };
            let corners: String = face.iter().map(|v| format!(" {}", v + usize::from(!counted))).collect();
            writeln!(writer, "{first}{corners}").map_err(unwritten)?;
        }
        Ok(())
    }

    /// The vertices.
    pub fn vertices(&self) -> &[[f64; 3]] {
        &self.vertices
    }

    /// The corners of each face.
    pub fn faces(&self) -> &[Vec<usize>] {
        &self.faces
    }

    /// The graph of the sides of the faces, unit weights.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn graph(&self) -> Result<Graph, Error> {
        let sides = self.faces.iter().flat_map(|face| {
            (0..face.len()).map(|i| (face[i], face[(i + 1) % face.len()], 1.0)).filter(|(u, v, _)| u != v)
        });
        GraphBuilder::new(self.vertices.len()).duplicates(Duplicates::Max).build(sides)
    }

    /// Unit normals of the vertices, n × 3: the sums of the cross products of their faces (by area), fans of triangles for polygons. 0 where there are none.
    pub fn normals(&self) -> DMatrix<f64> {
        let mut out = DMatrix::zeros(self.vertices.len(), 3);
        for face in &self.faces {
            for i in 1..face.len().saturating_sub(1) {
                let corner = [face[0], face[i], face[i + 1]];
                let [a, b, c] = corner.map(|v| self.vertices[v]);
                let (u, v) = ([0, 1, 2].map(|k| b[k] - a[k]), [0, 1, 2].map(|k| c[k] - a[k]));
                let cross = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
                for v in corner {
                    (0..3).for_each(|k| out[(v, k)] += cross[k]);
                }
            }
        }
        for mut row in out.row_iter_mut() {
            let norm = row.norm();
            if norm > 0.0 {
                row /= norm;
            }
        }
        out
    }
}

fn point(line: usize, fields: &[&str]) -> Result<[f64; 3], Error> {
    if fields.len() < 3 {
        return Err(wrong(line, format!("three coordinates expected, found {}", fields.len())));
    }
    let mut out = [0.0f64; 3];
    for (out, text) in out.iter_mut().zip(fields) {
        *out = parse(line, "a coordinate", text)?;
        if !out.is_finite() {
            return Err(wrong(line, format!("coordinate {out} is not finite")));
        }
    }
    Ok(out)
}

fn face(line: usize, fields: &[&str], vertices: usize) -> Result<Vec<usize>, Error> {
    fields
        .iter()
        .map(|text| {
            let v: usize = parse(line, "a vertex", text)?;
            if v < vertices { Ok(v) } else { Err(wrong(line, format!("vertex {v} is not below {vertices}"))) }
        })
        .collect()
}
