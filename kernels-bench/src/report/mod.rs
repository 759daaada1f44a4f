//! One self-contained page: text, tables and plots, no external resources.

pub(crate) mod plot;

/// A page under construction.
pub(crate) struct Page {
    title: String,
    body: String,
}

/// Text made safe for HTML and SVG.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--paper:#fff;--line:#d5dae1;--one:#1f6fb4;--two:#d1622b;--band:#1f6fb433}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa6b5;--paper:#14181f;--line:#39424f;--one:#6db3ee;--two:#f19a67;--band:#6db3ee33}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:62rem;margin:0 auto;padding:1rem}
h1{font-size:1.7rem;margin:.5rem 0}h2{font-size:1.2rem;margin:2rem 0 .3rem;border-top:1px solid var(--line);padding-top:1rem}
p,figcaption{color:var(--soft);max-width:46rem}figure{margin:1rem 0}svg{width:100%;height:auto;max-width:46rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
td,th{padding:.2rem .7rem .2rem 0;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap}
td.n,th.n{text-align:right}tr.best td{font-weight:600}code{font-size:.85em}
svg text{fill:var(--ink);font:12px system-ui,sans-serif}svg .soft{fill:var(--soft)}svg .axis{stroke:var(--line);fill:none}
";

impl Page {
    pub(crate) fn new(title: &str) -> Self {
        Self { title: escape(title), body: String::new() }
    }

    pub(crate) fn heading(&mut self, text: &str) {
        self.body += &format!("<h2>{}</h2>\n", escape(text));
    }

    pub(crate) fn paragraph(&mut self, text: &str) {
        self.body += &format!("<p>{}</p>\n", escape(text));
    }

    /// A picture with its caption.
    pub(crate) fn figure(&mut self, svg: &str, caption: &str) {
        self.body += &format!("<figure>{svg}<figcaption>{}</figcaption></figure>\n", escape(caption));
    }

    /// A table; the rows whose index is in `best` are set in bold.
    pub(crate) fn table(&mut self, header: &[&str], rows: &[Vec<String>], best: &[usize]) {
        let cell = |tag: &str, i: usize, text: &str| {
            let class = if i > 0 && text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
                " class=\"n\""
            } else {
                ""
            };
            format!("<{tag}{class}>{}</{tag}>", escape(text))
        };
        let line = |tag: &str, cells: &[String], class: &str| {
            let cells: String = cells.iter().enumerate().map(|(i, c)| cell(tag, i, c)).collect();
            format!("<tr{class}>{cells}</tr>\n")
        };
        let header: Vec<String> = header.iter().map(|h| (*h).to_owned()).collect();
        self.body += "<div class=\"wide\"><table>\n";
        self.body += &line("th", &header, "");
        for (i, row) in rows.iter().enumerate() {
            self.body += &line("td", row, if best.contains(&i) { " class=\"best\"" } else { "" });
        }
        self.body += "</table></div>\n";
    }

    pub(crate) fn html(&self) -> String {
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{0}</title>\
             <style>{STYLE}</style></head>\n<body><h1>{0}</h1>\n{1}</body></html>\n",
            self.title, self.body
        )
    }
}
