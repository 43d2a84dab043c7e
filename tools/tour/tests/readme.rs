//! The two READMEs say the same: code for code, apart from comments. The English one's code is compiled and run by the
//! doc tests of `kettle`.

fn code_blocks(readme: &str) -> Vec<Vec<&str>> {
    let mut blocks = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        if line.starts_with("```") {
            inside = !inside;
            if inside {
                blocks.push(vec![line]);
            }
        } else if let (true, Some(block)) = (inside, blocks.last_mut()) {
            let code = line.split("//").next().unwrap_or_default();
            block.push(code.split("  #").next().unwrap_or_default().trim_end());
        }
    }
    blocks
}

fn headings(readme: &str) -> Vec<usize> {
    let level = |line: &str| line.bytes().take_while(|&byte| byte == b'#').count();
    readme.lines().map(level).filter(|&level| level > 0).collect()
}

#[test]
fn both_readmes_have_the_same_code_and_sections() {
    let (english, chinese) = (include_str!("../../../README.md"), include_str!("../../../README.zh-CN.md"));
    let blocks = code_blocks(english);
    assert!(blocks.len() > 8, "the code of the README is not found");
    assert_eq!(blocks, code_blocks(chinese));
    assert_eq!(headings(english), headings(chinese));
    let rows = |readme: &str| readme.lines().filter(|line| line.starts_with('|')).count();
    assert_eq!(rows(english), rows(chinese));
}
