//! GraphML: nodes, edges, the key `weight`.

use std::{
    collections::HashMap,
    io::{BufRead, Write},
};

use super::{lines, parse, unwritten, wrong};
use crate::{Error, Graph, GraphBuilder};

/// Reads the graph of a GraphML file and the names of its nodes, in the order of the file. The weight of an edge is its data of the key whose name is
/// `weight`, 1 without. A graph is directed when any edge is; an undirected edge then is two arrows. Other data, ports and hyperedges are skipped.
///
/// # Errors
/// [`Error::Parse`] with the line: tags that do not close, unknown nodes, weights that are no numbers.
///
/// ```
/// let text = r#"<graphml><graph edgedefault="undirected"><node id="a"/><node id="b"/>
/// <edge source="a" target="b"/></graph></graphml>"#;
/// let (graph, names) = kernels_graph::read_graphml(text.as_bytes())?;
/// assert_eq!((graph.edges(), names[1].as_str()), (1, "b"));
/// # Ok::<(), kernels_graph::Error>(())
/// ```
pub fn read_graphml(reader: impl BufRead) -> Result<(Graph, Vec<String>), Error> {
    let mut state = State::default();
    // A tag may go over lines: text is kept until its '<' … '>' is whole.
    let (mut held, mut at, mut last) = (String::new(), 1, 0);
    lines(reader, |number, line| {
        last = number;
        if held.is_empty() {
            at = number;
        }
        held.push_str(line);
        held.push('\n');
        loop {
            let Some(start) = held.find('<') else {
                state.text.push_str(&held);
                held.clear();
                return Ok(());
            };
            let close = if held[start..].starts_with("<!--") { "-->" } else { ">" };
            let Some(end) = held[start..].find(close) else { return Ok(()) };
            state.text.push_str(&held[..start]);
            let tag = held[start + 1..start + end].to_owned();
            held.drain(..start + end + close.len());
            if close == ">" {
                state.tag(at, &tag)?;
            }
            at = number;
        }
    })?;
    if held.contains('<') {
        return Err(wrong(at, "a tag that begins here is never closed"));
    }
    if !state.open.is_empty() {
        return Err(wrong(last, format!("the file ends inside <{}>", state.open.join("><"))));
    }
    if !state.graph {
        return Err(wrong(last, "no <graph> in the file"));
    }
    let directed = state.edges.iter().any(|edge| edge.3);
    let mut list = Vec::with_capacity(state.edges.len());
    for (u, v, w, arrow) in state.edges {
        list.push((u, v, w));
        if directed && !arrow && u != v {
            list.push((v, u, w));
        }
    }
    let graph = GraphBuilder::new(state.names.len()).directed(directed).build(list)?;
    Ok((graph, state.names))
}

#[derive(Default)]
struct State {
    open: Vec<String>,
    text: String,
    graph: bool,
    directed: bool,
    weight: Option<String>,
    default: f64,
    key: Option<String>,
    names: Vec<String>,
    ids: HashMap<String, usize>,
    edges: Vec<(usize, usize, f64, bool)>,
    edge: Option<(usize, usize, f64, bool)>,
}

impl State {
    fn tag(&mut self, line: usize, tag: &str) -> Result<(), Error> {
        if tag.starts_with(['?', '!']) {
            return Ok(());
        }
        if let Some(name) = tag.strip_prefix('/') {
            let name = name.trim();
            if self.open.pop().as_deref() != Some(name) {
                return Err(wrong(line, format!("</{name}> closes what is not open")));
            }
            self.close(line, name)?;
            self.text.clear();
            return Ok(());
        }
        let (body, whole) = tag.strip_suffix('/').map_or((tag, false), |body| (body, true));
        let name = body.split_whitespace().next().unwrap_or_default().to_owned();
        let attributes = attributes(line, &body[name.len()..])?;
        let get = |key: &str| attributes.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
        let need = |key: &str| get(key).ok_or_else(|| wrong(line, format!("<{name}> has no {key}")));
        match name.as_str() {
            "graph" => {
                if std::mem::replace(&mut self.graph, true) {
                    return Err(wrong(line, "a second <graph>: one graph a file is read"));
                }
                self.directed = get("edgedefault").as_deref() == Some("directed");
                self.default = 1.0;
            }
            "key"
                if get("attr.name").as_deref() == Some("weight") && get("for").as_deref() != Some("node") =>
            {
                self.weight = Some(need("id")?);
            }
            "node" => {
                let id = need("id")?;
                let next = self.names.len();
                if self.ids.insert(id.clone(), next).is_some() {
                    return Err(wrong(line, format!("node {id:?} is there twice")));
                }
                self.names.push(id);
            }
            "edge" => {
                let mut ends = [0; 2];
                for (end, key) in ends.iter_mut().zip(["source", "target"]) {
                    let id = need(key)?;
                    *end = *self
                        .ids
                        .get(&id)
                        .ok_or_else(|| wrong(line, format!("{key} {id:?} is not a node above")))?;
                }
                let arrow = get("directed").map_or(self.directed, |text| text == "true");
                self.edge = Some((ends[0], ends[1], 1.0, arrow));
            }
            "data" => self.key = get("key"),
            _ => {}
        }
        self.text.clear();
        if whole {
            self.close(line, &name)?;
        } else {
            self.open.push(name);
        }
        Ok(())
    }

    fn close(&mut self, line: usize, name: &str) -> Result<(), Error> {
        match name {
            "data" => {
                if self.key.take() == self.weight
                    && self.weight.is_some()
                    && let Some(edge) = &mut self.edge
                {
                    edge.2 = parse(line, "a weight", &self.text)?;
                }
            }
            "edge" => self.edges.extend(self.edge.take()),
            _ => {}
        }
        Ok(())
    }
}

/// `key="value"` pairs.
fn attributes(line: usize, mut text: &str) -> Result<Vec<(String, String)>, Error> {
    let mut out = Vec::new();
    loop {
        text = text.trim_start();
        if text.is_empty() {
            return Ok(out);
        }
        let broken = || wrong(line, format!("key=\"value\" expected, found {text:?}"));
        let (key, rest) = text.split_once('=').ok_or_else(broken)?;
        let rest = rest.trim_start();
        let quote = rest.chars().next().filter(|c| *c == '"' || *c == '\'').ok_or_else(broken)?;
        let (value, after) = rest[1..].split_once(quote).ok_or_else(broken)?;
        let plain =
            value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
        out.push((key.trim().to_owned(), plain.replace("&amp;", "&")));
        text = after;
    }
}

/// Writes nodes n0, n1, … and weights.
///
/// # Errors
/// [`Error::Io`].
pub fn write_graphml(graph: &Graph, mut writer: impl Write) -> Result<(), Error> {
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n",
    );
    text += "  <key id=\"w\" for=\"edge\" attr.name=\"weight\" attr.type=\"double\"/>\n";
    let kind = if graph.is_directed() { "directed" } else { "undirected" };
    writeln!(writer, "{text}  <graph edgedefault=\"{kind}\">").map_err(unwritten)?;
    for u in 0..graph.nodes() {
        writeln!(writer, "    <node id=\"n{u}\"/>").map_err(unwritten)?;
    }
    for (u, v, w) in graph.edge_list() {
        writeln!(writer, "    <edge source=\"n{u}\" target=\"n{v}\"><data key=\"w\">{w:?}</data></edge>")
            .map_err(unwritten)?;
    }
    writeln!(writer, "  </graph>\n</graphml>").map_err(unwritten)
}
