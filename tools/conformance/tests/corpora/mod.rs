//! Owns reading the stored corpora, and comparing traces with theirs. Used by the programs that run scenarios.

use crate::tool::run;
use flate2::read::GzDecoder;
use serde_json::Value as Json;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The files.
pub(crate) const CORPORA: [&str; 5] =
    ["hand.jsonl", "listings.jsonl", "public.jsonl.gz", "matrix.jsonl.gz", "own.jsonl"];

/// A corpus.
pub(crate) struct Corpus {
    /// Its lines, without the traces: a tool must not see them.
    pub(crate) input: String,
    /// Each scenario's identifier and trace.
    pub(crate) expected: Vec<(String, Vec<String>)>,
}

/// Reads a corpus.
pub(crate) fn read(file: &str) -> Corpus {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(file);
    let mut text = String::new();
    let opened = File::open(&path).expect("the corpus is there");
    let read = match file.ends_with(".gz") {
        true => GzDecoder::new(opened).read_to_string(&mut text),
        false => { opened }.read_to_string(&mut text),
    };
    read.expect("the corpus is readable");
    let mut corpus = Corpus { input: String::new(), expected: Vec::new() };
    for line in text.lines() {
        let mut json: Json = serde_json::from_str(line).expect("the corpus is JSON");
        // The project's target, stored where it differs from CPython 3.11.
        let want = if json.get("want").is_some() { json["want"].take() } else { json["expect"].take() };
        let id = json["id"].as_str().expect("a scenario has a name").to_owned();
        corpus.expected.push((id, serde_json::from_value(want).expect("a trace is an array of lines")));
        let bare = serde_json::json!({ "id": json["id"], "defs": json["defs"], "drive": json["drive"] });
        corpus.input.push_str(&format!("{bare}\n"));
    }
    corpus
}

/// The traces of scenarios that are all well-formed, each after its identifier.
pub(crate) fn traces(bodies: &str, input: &str) -> Vec<(String, Vec<String>)> {
    let output = run(&["--body", bodies], input.as_bytes());
    let mut traces: Vec<(String, Vec<String>)> = Vec::new();
    for line in String::from_utf8(output.stdout).expect("the tool prints UTF-8").lines() {
        match (line.strip_prefix("# "), traces.last_mut()) {
            (Some(id), _) => traces.push((id.to_owned(), Vec::new())),
            (None, Some((_, trace))) => trace.push(line.to_owned()),
            (None, None) => panic!("a trace without a scenario: {line}"),
        }
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = traces.last().map(|(id, _)| id);
    assert!(output.status.success(), "{bodies}: {} after {last:?}: {errors}", output.status);
    traces
}

/// Where two traces part.
pub(crate) fn difference(got: &[String], want: &[String]) -> Option<String> {
    let at = (0..got.len().max(want.len())).find(|&at| got.get(at) != want.get(at))?;
    let line = |trace: &[String]| trace.get(at).map_or("<end>", String::as_str).to_owned();
    Some(format!("line {at}: got  {}\n        want {}", line(got), line(want)))
}
