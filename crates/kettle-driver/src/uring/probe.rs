//! Owns the question what io_uring can do here, if anything: asked of a tiny ring, once, and why not if not.

use super::entry;
use crate::kind::Absence;
use io_uring::{EnterFlags, IoUring, opcode};
use std::io;
use std::sync::OnceLock;

/// How a ring is set up. Each is faster than the next, and needs a newer kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Modes {
    /// Linux 6.1: completions are worked on when the thread asks for them, and only this thread may.
    Deferred,
    /// Linux 6.0: the kernel counts on one thread.
    Single,
    /// Linux 5.19: completions don't interrupt the thread.
    Cooperative,
}

impl Modes {
    const ALL: [Modes; 3] = [Modes::Deferred, Modes::Single, Modes::Cooperative];

    /// What it uses, for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Modes::Deferred => "single_issuer, defer_taskrun, coop_taskrun",
            Modes::Single => "single_issuer, coop_taskrun",
            Modes::Cooperative => "coop_taskrun",
        }
    }

    /// A ring with room for `entries` before they are submitted, and for `completions`.
    pub(super) fn ring(self, entries: u32, completions: u32) -> io::Result<IoUring> {
        let mut builder = IoUring::builder();
        // An entry that fails must not keep the others back; the flag says when there is work to ask for.
        builder.setup_clamp().setup_cqsize(completions).setup_submit_all().setup_coop_taskrun().setup_taskrun_flag();
        if self != Modes::Cooperative {
            builder.setup_single_issuer();
        }
        if self == Modes::Deferred {
            builder.setup_defer_taskrun();
        }
        builder.build(entries)
    }
}

/// The best modes that work, or why none does. An answer that is good is remembered.
pub(super) fn modes() -> Result<Modes, Absence> {
    static FOUND: OnceLock<Modes> = OnceLock::new();
    if let Some(modes) = FOUND.get() {
        return Ok(*modes);
    }
    let modes = probe()?;
    Ok(*FOUND.get_or_init(|| modes))
}

/// Why a ring can't be made.
pub(super) fn absence(error: &io::Error) -> Absence {
    let level =
        || -> Option<u32> { std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?.trim().parse().ok() };
    match error.raw_os_error() {
        Some(libc::ENOSYS) => Absence::TooOld { lacks: "io_uring" },
        Some(libc::EINVAL) => Absence::TooOld { lacks: "IORING_SETUP_COOP_TASKRUN (Linux 5.19)" },
        Some(libc::EPERM | libc::EACCES) => match level() {
            Some(level @ 1..) => Absence::Disabled { level },
            _ => Absence::Forbidden,
        },
        Some(errno) => Absence::Refused { errno },
        None => Absence::Refused { errno: libc::EIO },
    }
}

fn probe() -> Result<Modes, Absence> {
    let mut refused = None;
    // In the stress build as on an old kernel.
    let modes = if cfg!(kettle_stress) { &[Modes::Cooperative][..] } else { &Modes::ALL };
    for modes in modes.iter().copied() {
        match modes.ring(2, 4) {
            Ok(ring) => return inspect(ring).map(|()| modes),
            // An unknown flag.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => refused = Some(error),
            Err(error) => return Err(absence(&error)),
        }
    }
    Err(refused.as_ref().map_or(Absence::TooOld { lacks: "io_uring" }, absence))
}

/// What a ring must be able to do besides.
fn inspect(mut ring: IoUring) -> Result<(), Absence> {
    let lacks = |lacks| Absence::TooOld { lacks };
    let params = ring.params();
    for (is_there, name) in [
        (params.is_feature_nodrop(), "IORING_FEAT_NODROP (Linux 5.5)"),
        (params.is_feature_submit_stable(), "IORING_FEAT_SUBMIT_STABLE (Linux 5.5)"),
        (params.is_feature_rw_cur_pos(), "IORING_FEAT_RW_CUR_POS (Linux 5.6)"),
        (params.is_feature_fast_poll(), "IORING_FEAT_FAST_POLL (Linux 5.7)"),
        (params.is_feature_ext_arg(), "IORING_FEAT_EXT_ARG (Linux 5.11)"),
    ] {
        if !is_there {
            return Err(lacks(name));
        }
    }
    let mut known = io_uring::Probe::new();
    ring.submitter().register_probe(&mut known).map_err(|error| absence(&error))?;
    let needed = [
        opcode::Nop::CODE,
        opcode::Recv::CODE,
        opcode::Send::CODE,
        opcode::RecvMsg::CODE,
        opcode::SendMsg::CODE,
        opcode::Accept::CODE,
        opcode::Connect::CODE,
        opcode::Read::CODE,
        opcode::Write::CODE,
        opcode::PollAdd::CODE,
        opcode::AsyncCancel::CODE,
    ];
    if !needed.into_iter().all(|code| known.is_supported(code)) {
        return Err(lacks("an operation (Linux 5.19 has all)"));
    }
    // Whether everything can be cancelled at once: nothing tells but trying.
    // SAFETY: the entry has no pointers.
    let pushed = unsafe { ring.submission().push(&entry::cancel_all()) };
    pushed.map_err(|_| Absence::Refused { errno: libc::EBUSY })?;
    let (submitter, _, mut completions) = ring.split();
    // SAFETY: there is no argument.
    let entered = unsafe { submitter.enter::<libc::sigset_t>(1, 1, EnterFlags::GETEVENTS.bits(), None) };
    entered.map_err(|error| absence(&error))?;
    completions.sync();
    match completions.next().map(|completion| completion.result()) {
        Some(result) if result != -libc::EINVAL => Ok(()),
        _ => Err(lacks("IORING_ASYNC_CANCEL_ANY (Linux 5.19)")),
    }
}
