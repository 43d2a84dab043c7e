//! Holds this repository to each rule of the `tidy` library; one test a rule, so that a failure names it.

use std::path::Path;
use std::sync::LazyLock;
use tidy::{Complaint, Tree, manifests, modules, papers, sources, unsafety};

static REPOSITORY: LazyLock<Tree> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Tree::read(&root).expect("the repository can be read")
});

#[track_caller]
fn holds(rule: fn(&Tree) -> Vec<Complaint>) {
    assert!(REPOSITORY.get("crates/kettle-gen/src/lib.rs").is_some(), "the sources are where they are looked for");
    let complaints: Vec<String> = rule(&REPOSITORY).iter().map(Complaint::to_string).collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

macro_rules! rules {
    ($($name:ident: $rule:path;)*) => {
        $(
            #[test]
            fn $name() {
                holds($rule);
            }
        )*
    };
}

rules! {
    crates_use_lower_layers_only: manifests::layers;
    dependencies_have_reasons: manifests::reasons;
    packages_take_the_shared_lints: manifests::lints;
    modules_import_earlier_ones_only: modules::order;
    files_have_headers: sources::headers;
    library_files_are_short: sources::lengths;
    files_are_named_by_what_they_own: sources::names;
    silenced_lints_have_reasons: sources::silenced_lints;
    unsafe_code_is_accounted_for: unsafety::listed;
    crates_without_unsafe_code_forbid_it: unsafety::forbidden;
    no_path_of_one_machine: papers::machine_paths;
    what_is_left_undone_says_why: papers::unexplained_todos;
    readmes_and_ci_share_commands: papers::commands;
    readmes_have_the_same_shape: papers::translations;
    changelog_has_news: papers::changelog;
}
