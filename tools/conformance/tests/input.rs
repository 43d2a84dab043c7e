//! What the tool says about input that is not as it should be, and about runs that would not end.

mod tool;

use tool::{BODIES, run};

const GOOD: &str = r#"{"id":"good","defs":[[["yield",null,1]]],"drive":[["new",0,0],["next",0]]}"#;
const GOOD_TRACE: &str = "# good\n> new 0 0 null\n> next 0\n= yield 1\n> drop 0\n";

/// What the tool must say about `line` after a good line and an empty one.
fn assert_malformed(line: &[u8], reason: &str) {
    let mut input = format!("{GOOD}\n\n").into_bytes();
    input.extend(line);
    input.extend(format!("\n{GOOD}\n").bytes());
    let output = run(&["--body", "mixed"], &input);
    let shown = String::from_utf8_lossy(line);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{shown}: {errors}");
    assert!(errors.starts_with("line 3: ") && errors.ends_with('\n'), "{shown}: {errors}");
    assert_eq!(errors.lines().count(), 1, "{shown}: {errors}");
    assert!(errors.contains(reason), "{shown}: {errors} lacks `{reason}`");
    assert_eq!(String::from_utf8_lossy(&output.stdout), GOOD_TRACE, "{shown}: what came before is out, and no more");
}

fn with_body(body: &str) -> String {
    format!(r#"{{"id":"x","defs":[[{body}]],"drive":[["new",0,0],["next",0]]}}"#)
}

fn with_drive(drive: &str) -> String {
    format!(r#"{{"id":"x","defs":[[["yield",null,1]]],"drive":[{drive}]}}"#)
}

#[test]
fn malformed_lines_are_named() {
    for (line, reason) in [
        ("{", "not JSON: EOF"),
        ("nonsense", "not JSON"),
        (r#"{"id":"x"} tail"#, "not JSON: trailing characters"),
        ("[]", "a scenario is an object"),
        ("7", "a scenario is an object"),
        (r#"{"defs":[],"drive":[]}"#, "`id` is missing"),
        (r#"{"id":1,"defs":[],"drive":[]}"#, "`id` is not a string"),
        (r#"{"id":"x","drive":[]}"#, "`defs` is missing"),
        (r#"{"id":"x","defs":[]}"#, "`drive` is missing"),
        (r#"{"id":"x","defs":{},"drive":[]}"#, "`defs` is not an array"),
        (r#"{"id":"x","defs":[],"drive":null}"#, "`drive` is not an array"),
        (r#"{"id":"x","defs":[7],"drive":[]}"#, "definition 0: a block is not an array"),
    ] {
        assert_malformed(line.as_bytes(), reason);
    }
    assert_malformed(b"\"\xff\"", "not JSON");
    assert_malformed("[".repeat(100_000).as_bytes(), "not JSON: recursion limit exceeded");
}

#[test]
fn malformed_statements_are_named() {
    for (body, reason) in [
        (r#"["yield",null]"#, "definition 0: statement 0: `yield`: takes 2 operands, not 1"),
        (r#"["log","a"],["jump"]"#, "statement 1: `jump`: `jump` is unknown"),
        (r#"[]"#, "does not begin with a word"),
        (r#"[3,4]"#, "does not begin with a word"),
        (r#""yield""#, "a statement is not an array"),
        (r#"["yield",3,null]"#, "a variable's name is not a string: 3"),
        (r#"["set",null,1]"#, "a variable's name is not a string: null"),
        (r#"["set","x"]"#, "takes 2 operands, not 1"),
        (r#"["log",1]"#, "the message is not a string"),
        (r#"["log","a",1,2]"#, "takes 1 or 2 operands, not 3"),
        (r#"["loop",-1,[]]"#, "-1 is not a count"),
        (r#"["loop","3",[]]"#, "\"3\" is not a count"),
        (r#"["loop",3,["break"]]"#, "`loop`: statement 0: a statement is not an array"),
        (r#"["while",true,[]]"#, "a condition is not an array"),
        (r#"["while",["maybe"],[]]"#, "condition `maybe` is unknown"),
        (r#"["while",["lt",1],[]]"#, "condition takes 2 operands, not 1"),
        (r#"["if",["true"]]"#, "takes 2 or 3 operands, not 1"),
        (r#"["if",["not",["eq",1]],[]]"#, "condition takes 2 operands, not 1"),
        (r#"["if",["true"],[],null]"#, "a block is not an array"),
        (r#"["for",null,["iter",[]],[]]"#, "a variable's name is not a string"),
        (r#"["for","x",["iter",[]]]"#, "takes 3 operands, not 2"),
        (r#"["break"]"#, "`break`: outside of a loop"),
        (r#"["continue"]"#, "`continue`: outside of a loop"),
        (r#"["if",["true"],[["break"]]]"#, "`break`: outside of a loop"),
        (r#"["loop",1,[["break",1]]]"#, "`break`: takes 0 operands, not 1"),
        (r#"["return"]"#, "takes 1 operand, not 0"),
        (r#"["raise"]"#, "takes 1 or 2 operands, not 0"),
        (r#"["raise","E10"]"#, "`E10` is not an error that can be raised"),
        (r#"["raise","RuntimeError"]"#, "`RuntimeError` is not an error that can be raised"),
        (r#"["raise",1]"#, "the kind of error is not a string"),
        (r#"["reraise"]"#, "`reraise`: outside of a handler"),
        (r#"["try",[],[[["E"],null,[]]],[],[["reraise"]]]"#, "`reraise`: outside of a handler"),
        (r#"["try",[["reraise"]],[[["E"],null,[]]],[],[]]"#, "`reraise`: outside of a handler"),
        (r#"["try",[],[],[]]"#, "takes 4 operands, not 3"),
        (r#"["try",[],[],null,null]"#, "a block is not an array"),
        (r#"["try",[],[],[["log","x"]],[]]"#, "an else clause without a handler"),
        (r#"["try",[],[[["E"],null]],[],[]]"#, "handler 0: takes classes, a variable and a block"),
        (r#"["try",[],[[["Oops"],null,[]]],[],[]]"#, "class 0: `Oops` is not a class of errors"),
        (r#"["try",[],[["E",null,[]]],[],[]]"#, "the list of classes is not an array"),
        (r#"["try",[],[[["E"],5,[]]],[],[]]"#, "a variable's name is not a string"),
        (r#"["from",null,["gen",1]]"#, "1 is not a definition: there are 1"),
        (r#"["from",null,["gen",-1]]"#, "-1 is not a definition"),
        (r#"["from",null,["gen"]]"#, "source takes 1 or 2 operands, not 0"),
        (r#"["from",null,["obj",8]]"#, "8 is not a slot: they are 0 to 7"),
        (r#"["from",null,["list",[]]]"#, "source `list` is unknown"),
        (r#"["from",null,["iter",3]]"#, "the list of values is not an array"),
        (r#"["from",null,["iter",[1.5]]]"#, "1.5 is not a signed 64-bit integer"),
        (r#"["from",null,["range",0]]"#, "source takes 2 operands, not 1"),
        (r#"["op",null,0]"#, "takes 3 or 4 or 5 operands, not 2"),
        (r#"["op",null,9,"next"]"#, "9 is not a slot"),
        (r#"["op",null,0,"next",1]"#, "`op`: `next`: takes 0 operands, not 1"),
        (r#"["op",null,0,"send"]"#, "`op`: `send`: takes 1 operand, not 0"),
        (r#"["op",null,0,"throw","E0",1,2]"#, "`op`: `throw`: takes 1 or 2 operands, not 3"),
        (r#"["op",null,0,"throw","TypeError"]"#, "`TypeError` is not an error that can be raised"),
        (r#"["op",null,0,"drop"]"#, "`drop` is unknown"),
        (r#"["op",null,0,5]"#, "the operation is not a string"),
    ] {
        assert_malformed(with_body(body).as_bytes(), reason);
    }
}

#[test]
fn malformed_values_and_expressions_are_named() {
    for (expression, reason) in [
        ("true", "true is not a value"),
        ("{}", "{} is not a value"),
        ("1.0", "1.0 is not a signed 64-bit integer"),
        ("1e2", "is not a signed 64-bit integer"),
        ("9223372036854775808", "9223372036854775808 is not a signed 64-bit integer"),
        (r#"["v"]"#, "expression takes 1 operand, not 0"),
        (r#"["v",1]"#, "a variable's name is not a string"),
        (r#"["lit",false]"#, "false is not a value"),
        (r#"["+",1]"#, "expression takes 2 operands, not 1"),
        (r#"["/",1,2]"#, "expression `/` is unknown"),
        (r#"[1,2]"#, "an expression does not begin with a word"),
        (r#"["cat",["*",1,2],["-",1,0.5]]"#, "0.5 is not a signed 64-bit integer"),
    ] {
        assert_malformed(with_body(&format!(r#"["return",{expression}]"#)).as_bytes(), reason);
    }
}

#[test]
fn malformed_drivers_are_named() {
    for (drive, reason) in [
        (r#"["new",0,1]"#, "operation 0: `new`: 1 is not a definition: there are 1"),
        (r#"["new",8,0]"#, "8 is not a slot"),
        (r#"["new",-1,0]"#, "-1 is not a slot"),
        (r#"["new",0.0,0]"#, "0.0 is not a slot"),
        (r#"["new",0]"#, "takes 2 or 3 operands, not 1"),
        (r#"["new",0,0,{}]"#, "{} is not a value"),
        (r#"["new",0,0],["new",0,0]"#, "operation 1: `new`: slot 0 is occupied"),
        (r#"["next",0]"#, "operation 0: `next`: slot 0 is empty"),
        (r#"["new",0,0],["drop",0],["next",0]"#, "operation 2: `next`: slot 0 is empty"),
        (r#"["new",0,0],["next"]"#, "takes 1 operand, not 0"),
        (r#"["new",0,0],["send",0]"#, "takes 2 operands, not 1"),
        (r#"["new",0,0],["throw",0]"#, "takes 2 or 3 operands, not 1"),
        (r#"["new",0,0],["throw",0,"E"]"#, "`E` is not an error that can be raised"),
        (r#"["new",0,0],["throw",0,"E1",true]"#, "true is not a value"),
        (r#"["new",0,0],["for",0]"#, "takes 2 operands, not 1"),
        (r#"["new",0,0],["for",0,0]"#, "0 is not a count from 1"),
        (r#"["new",0,0],["jump",0]"#, "`jump` is unknown"),
        (r#"[]"#, "an operation does not begin with a word"),
        (r#"{}"#, "an operation is not an array"),
    ] {
        assert_malformed(with_drive(drive).as_bytes(), reason);
    }
}

#[test]
fn wrong_arguments_get_the_usage() {
    for arguments in [&[][..], &["--body"], &["--body", "stack"], &["stackless"], &["--body", "mixed", "file"]] {
        let output = run(arguments, GOOD.as_bytes());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("usage: conformance --body"), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

/// A statement at the bottom of nested blocks.
fn nested(depth: usize, statement: &str) -> String {
    (0..depth).fold(statement.to_owned(), |body, _| format!(r#"["loop",1,[{body}]]"#))
}

#[test]
fn blocks_may_not_nest_deeper_than_anybody_needs() {
    assert_malformed(with_body(&nested(16, r#"["log","x"]"#)).as_bytes(), "blocks nest deeper than 16");
    let output = run(&["--body", "mixed"], with_body(&nested(15, r#"["log","x"]"#)).as_bytes());
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "# x\n> new 0 0 null\n> next 0\n. x\n= return null\n> drop 0\n"
    );
}

/// What the tool prints for a scenario that would not end, and one after it.
fn assert_cut_off(endless: &str) {
    for bodies in BODIES {
        let output = run(&["--body", bodies], format!("{endless}\n{GOOD}\n").as_bytes());
        assert!(output.status.success(), "{bodies}, {endless}: {}", String::from_utf8_lossy(&output.stderr));
        let traces = String::from_utf8_lossy(&output.stdout);
        assert!(traces.contains("\n! stopped: "), "{bodies}, {endless}: {traces}");
        assert!(traces.ends_with(GOOD_TRACE), "{bodies}, {endless}: the next scenario runs: {traces}");
    }
}

#[test]
fn runs_that_would_not_end_are_cut_off() {
    for body in [
        r#"["while",["true"],[]]"#,
        r#"["loop",9223372036854775807,[]]"#,
        r#"["while",["true"],[["try",[["raise","E1"]],[[["all"],null,[]]],[],[["continue"]]]]]"#,
        r#"["set","s","ab"],["while",["true"],[["set","s",["cat",["v","s"],["v","s"]]]]]"#,
        r#"["for","x",["range",0,9223372036854775807],[]]"#,
        r#"["from",null,["gen",0]]"#,
        r#"["try",[["from",null,["gen",0]]],[],[],[["from",null,["gen",0]]]]"#,
        r#"["for","x",["gen",0],[]]"#,
        r#"["for","x",["gen",0],[["yield",null,1]]]"#,
        r#"["loop",20000,[["op",null,0,"state"]]]"#,
    ] {
        assert_cut_off(&with_body(body));
    }
    assert_cut_off(
        &with_drive(r#"["new",0,0],["for",0,9223372036854775807]"#)
            .replace(r#"["yield",null,1]"#, r#"["from",null,["range",0,9223372036854775807]]"#),
    );
}

#[test]
fn runs_that_nest_too_deep_are_cut_off() {
    // As deep as blocks may be, in as many generators as may run, across both kinds of body.
    let sources = [r#"["for","x",["gen",0],[]]"#, r#"["from",null,["gen",0]]"#];
    for deep in sources {
        for entry in sources {
            let deep = nested(14, deep);
            let drive = r#"["new",0,1],["next",0]"#;
            assert_cut_off(&format!(r#"{{"id":"x","defs":[[{deep}],[{entry}]],"drive":[{drive}]}}"#));
        }
    }
}
