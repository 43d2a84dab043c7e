//! The job that is written twice: both ways it ends the same, well or not.

use crate::server::command;

#[test]
fn nested_and_as_a_coroutine_the_job_ends_the_same() {
    let output = command("callbacks").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let results = |way: &str| said.lines().filter_map(|line| Some(line.trim().strip_prefix(way)?.to_owned())).collect();
    let (callbacks, coroutine): (Vec<_>, Vec<_>) = (results("by callbacks: "), results("by coroutine: "));
    assert_eq!(callbacks, coroutine);
    assert_eq!(callbacks.len(), 4, "{said}");
    assert_eq!(callbacks[0], "Ok(\"2 cups of tea for Lao Zhang\")");
    assert!(callbacks[1..].iter().all(|result| result.starts_with("Err")), "{said}");
}
