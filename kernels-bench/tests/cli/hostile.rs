//! Input that is wrong.

use super::*;

/// Input, arguments, exit code, and what the message must hold.
type Hostile = (&'static str, &'static [&'static str], i32, &'static str);

/// Files are made by `hostile_files`; `{name}` of a file stands for itself.
const HOSTILE: &[Hostile] = &[
    ("empty file", &["fit", "empty.csv"], 1, "is empty"),
    ("header only", &["fit", "header.csv"], 1, "no rows"),
    ("one row", &["fit", "one_row.csv"], 1, "at least 2"),
    ("ragged rows", &["fit", "ragged.csv"], 1, "line 3 has 1 values, but the header line has 2"),
    ("missing value", &["fit", "missing.csv"], 1, "line 3: column `a` has no value"),
    ("missing target", &["fit", "missing_target.csv"], 1, "line 3: the target `y` has no value"),
    ("infinite value", &["fit", "infinite.csv"], 1, "line 2: column `a` is infinite"),
    ("no header", &["fit", "no_header.csv"], 1, "expected a header line"),
    ("column twice", &["fit", "twice.csv"], 1, "names `a` twice"),
    ("not UTF-8", &["fit", "latin1.csv"], 1, "UTF-8"),
    ("no such file", &["fit", "nowhere.csv"], 1, "cannot open"),
    (
        "no such target",
        &["fit", "table.csv", "--target", "cost"],
        1,
        "there is no column `cost`; there are: size, rooms",
    ),
    ("text as numbers", &["fit", "table.csv", "--target", "town", "--task", "regression"], 1, "holds text"),
    ("no features left", &["fit", "table.csv", "--drop", "size,rooms,town"], 1, "no feature columns"),
    ("one class", &["fit", "one_class.csv"], 1, "only the class `x`"),
    ("unknown kernel", &["fit", "table.csv", "--kernel", "rfb()"], 1, "did you mean `rbf`?"),
    (
        "misspelt parameter",
        &["fit", "table.csv", "--kernel", "rbf(lengthscale=1)"],
        1,
        "did you mean `length_scale`?",
    ),
    ("negative length scale", &["fit", "table.csv", "--kernel", "rbf(length_scale=-1)"], 1, "above 0"),
    ("unfinished kernel", &["fit", "table.csv", "--kernel", "rbf("], 1, "column 5"),
    (
        "indefinite kernel",
        &["fit", "table.csv", "--kernel", "sigmoid()"],
        1,
        "needs a positive definite kernel, but this one is indefinite",
    ),
    (
        "wrong number of length scales",
        &["fit", "table.csv", "--kernel", "rbf(length_scale=[1,2])"],
        1,
        "one length scale each",
    ),
    ("ridge of no sense", &["fit", "table.csv", "--ridge", "-3"], 2, "unexpected argument"),
    ("ridge below 0", &["fit", "table.csv", "--ridge=-3"], 1, "above 0 or `auto`"),
    ("folder as output", &["fit", "table.csv", "--out", "."], 1, "is a folder"),
    ("unwritable output", &["fit", "table.csv", "--out", "no/such/folder/model.json"], 1, "cannot write"),
    (
        "unseen category",
        &["predict", "model.json", "unseen.csv"],
        1,
        "is `Dachau`, which training has not seen (known: Aalen, Bonn, Celle)",
    ),
    (
        "missing column at predict",
        &["predict", "model.json", "x.csv"],
        1,
        "no column `size`; the model needs: size, rooms, town",
    ),
    ("text where numbers were", &["predict", "model.json", "text.csv"], 1, "holds the text `big`"),
    (
        "model of a newer version",
        &["predict", "newer.json", "table.csv"],
        1,
        "has version 999, this program reads version 1",
    ),
    ("truncated model", &["predict", "truncated.json", "table.csv"], 1, "may be truncated"),
    ("not a model", &["predict", "other.json", "table.csv"], 1, "is not a"),
    ("table as model", &["predict", "table.csv", "table.csv"], 1, "not a readable model"),
    (
        "variance of a ridge regression",
        &["predict", "model.json", "table.csv", "--variance"],
        1,
        "need a Gaussian process",
    ),
    (
        "probabilities of a regression",
        &["predict", "model.json", "table.csv", "--proba"],
        1,
        "needs a classification model",
    ),
    (
        "interval of no sense",
        &["predict", "model.json", "table.csv", "--interval", "1.5"],
        1,
        "between 0 and 1",
    ),
    (
        "not an NPY file",
        &["gram", "--kernel", "rbf()", "--x", "bad.npy", "--out", "k.npy"],
        1,
        "not a readable NPY file",
    ),
    (
        "truncated NPY file",
        &["gram", "--kernel", "rbf()", "--x", "short.npy", "--out", "k.npy"],
        1,
        "ends too early",
    ),
    (
        "NPY of objects",
        &["gram", "--kernel", "rbf()", "--x", "object.npy", "--out", "k.npy"],
        1,
        "object.npy",
    ),
    (
        "NPY with too many dimensions",
        &["gram", "--kernel", "rbf()", "--x", "tesseract.npy", "--out", "k.npy"],
        1,
        "a matrix (n, d) is expected",
    ),
    (
        "a kernel on rows for paths",
        &["gram", "--kernel", "rbf()", "--x", "cube.npy", "--out", "k.npy"],
        1,
        "the points are paths",
    ),
    (
        "NPY that promises too much",
        &["gram", "--kernel", "rbf()", "--x", "promise.npy", "--out", "k.npy"],
        1,
        "promise.npy",
    ),
    ("not a Parquet file", &["fit", "bad.parquet"], 1, "not a readable Parquet file"),
    (
        "dimensions that differ",
        &["gram", "--kernel", "rbf()", "--x", "x.csv", "--y", "three.csv", "--out", "k.npy"],
        1,
        "number of features",
    ),
    (
        "text in a matrix",
        &["gram", "--kernel", "rbf()", "--x", "classes.csv", "--out", "k.npy"],
        1,
        "holds text",
    ),
    ("too little memory", &["fit", "table.csv", "--memory", "10KiB"], 1, "--memory is 10.0 KiB"),
    (
        "memory for no row",
        &["gram", "--kernel", "rbf()", "--x", "x.csv", "--out", "k.npy", "--memory", "10"],
        1,
        "one row of the matrix",
    ),
    ("no threads", &["fit", "table.csv", "--threads", "0"], 2, "0 is not in 1.."),
    ("memory without sense", &["fit", "table.csv", "--memory", "lots"], 2, "no unit of memory"),
    ("too many folds", &["evaluate", "table.csv", "--folds", "99"], 1, "expected 2 to 60"),
    (
        "unknown family",
        &["kernels", "nothing"],
        1,
        "there is no kernel `nothing`; there are: white, constant",
    ),
    (
        "unknown task of bench",
        &["bench", "--tasks", "nothing"],
        1,
        "there is no `nothing`; there are: foundation, rbf_gram",
    ),
    ("no command", &[], 2, "Usage"),
];

/// Odd input that has a right answer: no error.
const ODD_BUT_RIGHT: &[&[&str]] = &[
    &["fit", "constant.csv"],
    &["fit", "constant_target.csv", "--task", "regression"],
    &["fit", "huge.csv", "--task", "regression"],
    &["fit", "duplicates.csv", "--task", "regression", "--ridge", "0.1"],
    &["fit", "missing.csv", "--missing", "drop", "--task", "regression"],
    &["fit", "missing.csv", "--missing", "mean", "--task", "regression"],
    &["predict", "unseen_ok.json", "unseen.csv"],
];

fn hostile_files(at: &Path) {
    let write = |name: &str, bytes: &[u8]| fs::write(at.join(name), bytes).unwrap();
    let many = |row: &dyn Fn(usize) -> String| -> String { (0..30).map(row).collect() };
    write("empty.csv", b"");
    write("header.csv", b"a,y\n");
    write("one_row.csv", b"a,y\n1,2\n");
    write("ragged.csv", b"a,y\n1,2\n3\n");
    write("missing.csv", format!("a,y\n1,2\n,3\n{}", many(&|i| format!("{i},{}.5\n", i % 4))).as_bytes());
    write("missing_target.csv", b"a,y\n1,2\n2,\n3,4.5\n");
    write("infinite.csv", b"a,y\ninf,2\n2,3\n");
    write("no_header.csv", b"1,2\n3,4\n");
    write("twice.csv", b"a,a\n1,2\n");
    write("latin1.csv", b"a,y\ncaf\xe9,2\n");
    write("one_class.csv", b"a,y\n1,x\n2,x\n3,x\n");
    write("unseen.csv", b"size,rooms,town\n1,2,Dachau\n");
    write("text.csv", b"size,rooms,town\nbig,2,Bonn\n");
    write("three.csv", b"a,b,c\n1,2,3\n");
    write("constant.csv", format!("a,b,y\n{}", many(&|i| format!("5,{i},{}.25\n", i % 3))).as_bytes());
    write("constant_target.csv", format!("a,y\n{}", many(&|i| format!("{i},7\n"))).as_bytes());
    write(
        "huge.csv",
        format!("a,y\n{}", many(&|i| format!("{}e308,{}.5\n", i as f64 / 30.0, i % 5))).as_bytes(),
    );
    write("duplicates.csv", format!("a,y\n{}", many(&|i| format!("1,{}.5\n", i % 2))).as_bytes());
    write("bad.npy", b"not numpy");
    write("bad.parquet", b"PAR1garbagePAR1");
    write("other.json", br#"{"format": "something", "version": 1}"#);
    let header = |descr: &str, shape: &str| {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16 + 1).to_le_bytes());
        bytes.extend(text.bytes().chain([b'\n']));
        bytes
    };
    write("short.npy", &[header("<f8", "(4, 2)"), vec![0; 40]].concat());
    write("object.npy", &[header("|O", "(2, 2)"), vec![0; 32]].concat());
    write("cube.npy", &[header("<f8", "(2, 2, 2)"), vec![0; 64]].concat());
    write("tesseract.npy", &[header("<f8", "(2, 2, 2, 1, 1)"), vec![0; 64]].concat());
    write("promise.npy", &[header("<f8", "(9999999999, 9999999999)"), vec![0; 64]].concat());
    run(at, &["fit", "table.csv", "--out", "model.json"]);
    run(at, &["fit", "table.csv", "--unseen", "ignore", "--out", "unseen_ok.json"]);
    let model = fs::read_to_string(at.join("model.json")).unwrap();
    write("truncated.json", &model.as_bytes()[..model.len() / 2]);
    write("newer.json", model.replacen("\"version\":1", "\"version\":999", 1).as_bytes());
}

#[test]
fn hostile_input_gets_a_clear_answer() {
    let folder = folder();
    let at = folder.path();
    hostile_files(at);
    let before = names(at);
    for (what, arguments, code, words) in HOSTILE {
        let output = kernels(at, arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{what}: {message}");
        assert!(message.contains(words), "{what}: {message}");
        assert!(!message.contains("panicked") && !message.contains("RUST_BACKTRACE"), "{what}: {message}");
    }
    assert_eq!(names(at), before, "an error left a file behind");
    for arguments in ODD_BUT_RIGHT {
        let output = kernels(at, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    }
}
