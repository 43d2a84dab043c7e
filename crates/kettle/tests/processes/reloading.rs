//! Reloads: which executable runs, and what becomes of the old workers and of reloads that fail.

use crate::client::Client;
use crate::service::{Service, command_of, kill, pid_in, wait_for_end};
use crate::services::COUNT;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

#[test]
fn new_workers_serve_before_the_old_ones_end() {
    let mut service = Service::start_with("answers", 2, "");
    let (old, addr) = service.serving(2);
    let mut client = Client::connect(addr).unwrap();
    kill(service.pid(), libc::SIGHUP);
    let (new, _) = service.serving(2);
    service.have_heard(&["reloaded: 2 new workers serve"]);
    // The one that has a connection finishes it, and the other one goes.
    assert!(old.contains(&client.pid));
    old.iter().filter(|pid| **pid != client.pid).for_each(|&pid| wait_for_end(pid));
    client.ask(7).unwrap();
    // It may not have heard yet that it is to accept no more.
    while !new.contains(&Client::connect(addr).unwrap().pid) {}
    let pid = client.pid;
    drop(client);
    wait_for_end(pid);
    service.assert_ends();
}

/// A place where versions of a program lie. It is emptied at the end.
struct Deployment(PathBuf);

impl Deployment {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("kettle-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        for version in ["v1", "v2"] {
            // A link would be the same file, and a running program can't be written to.
            fs::copy(std::env::current_exe().unwrap(), directory.join(version)).unwrap();
        }
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Puts a version in place, as deployments do: at once.
    fn deploy(&self, version: impl AsRef<Path>) {
        symlink(version, self.path("next")).unwrap();
        fs::rename(self.path("next"), self.path("service")).unwrap();
    }

    fn start(&self) -> Service {
        Service::run(command_of(&self.path("service"), "says which it is").env(COUNT, "1"))
    }

    /// Waits for a worker of a version.
    fn hear(&self, service: &mut Service, version: &str) -> u32 {
        // It is called as its program is, not as the number that it was started by.
        let line = service.hear(&["] is ", "called service"]);
        assert!(line.contains(&format!("{} ", self.path(version).display())), "{line}, and not {version}");
        pid_in(&line)
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn a_reload_takes_the_new_executable_and_a_restart_the_old_one() {
    let deployment = Deployment::new("versions");
    deployment.deploy("v1");
    let mut service = deployment.start();
    let first = deployment.hear(&mut service, "v1");
    deployment.deploy("v2");
    kill(first, libc::SIGKILL);
    deployment.hear(&mut service, "v1");
    kill(service.pid(), libc::SIGHUP);
    let second = deployment.hear(&mut service, "v2");
    service.have_heard(&["reloaded"]);
    kill(second, libc::SIGKILL);
    deployment.hear(&mut service, "v2");
    service.assert_ends();
}

#[test]
fn an_executable_that_was_replaced_in_place_is_found() {
    let deployment = Deployment::new("in-place");
    fs::copy(deployment.path("v1"), deployment.path("service")).unwrap();
    let mut service = deployment.start();
    let first = deployment.hear(&mut service, "service");
    fs::rename(deployment.path("v2"), deployment.path("service")).unwrap();
    kill(first, libc::SIGKILL);
    // The old one has no name any more, and is still there.
    let line = service.hear(&["] is "]);
    assert!(line.contains("service (deleted) called service"), "{line}");
    kill(service.pid(), libc::SIGHUP);
    deployment.hear(&mut service, "service");
    service.assert_ends();
}

#[test]
fn a_reload_that_fails_changes_nothing() {
    let deployment = Deployment::new("failing");
    deployment.deploy("v1");
    let mut service = deployment.start();
    let first = deployment.hear(&mut service, "v1");
    for (version, why) in [("/bin/false", "exit status: 1"), ("/nowhere", "No such file"), ("/etc/passwd", "ermission")]
    {
        deployment.deploy(version);
        kill(service.pid(), libc::SIGHUP);
        let line = service.hear(&["reload given up"]);
        assert!(line.contains(why), "{line}");
    }
    deployment.deploy("v2");
    kill(service.pid(), libc::SIGHUP);
    deployment.hear(&mut service, "v2");
    wait_for_end(first);
    service.assert_ends();
}
