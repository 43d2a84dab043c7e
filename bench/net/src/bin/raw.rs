//! The limit: an event loop by hand, for this one purpose, on io_uring or epoll. There are no tasks; a connection is a
//! number.

use io_uring::{IoUring, cqueue, opcode, squeue, types};
use net::buffers::Buffers;
use net::plaintext::Conversation;
use net::serving::{BUFFER, Options, Service, listen, serve_apart};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, RawFd};

/// More than any descriptor of this process.
const CONNECTIONS: usize = 1 << 16;

fn main() -> io::Result<()> {
    let options = Options::of_command_line();
    let serve = |listener| match options.epoll {
        true => on_epoll(&listener, options.service),
        false => on_uring(&listener, options.service),
    };
    if options.workers > 0 { serve_apart(options.workers, serve) } else { serve(listen()?) }
}

fn conversations(service: Service) -> Vec<Conversation> {
    let count = if service == Service::Plaintext { CONNECTIONS } else { 0 };
    (0..count).map(|_| Conversation::default()).collect()
}

// --- io_uring: multishot accepts and receives, sends by the ring as well ---

/// What a completion is of, in its user data above the descriptor and the buffer.
const ACCEPT: u64 = 1;
const RECEIVE: u64 = 2;
const SEND: u64 = 3;
const CLOSE: u64 = 4;

fn data(kind: u64, buffer: u16, fd: RawFd) -> u64 {
    kind << 56 | u64::from(buffer) << 32 | u64::from(fd as u32)
}

fn on_uring(listener: &TcpListener, service: Service) -> io::Result<()> {
    let mut ring = IoUring::builder()
        .setup_single_issuer()
        .setup_coop_taskrun()
        .setup_defer_taskrun()
        .setup_cqsize(16384)
        .build(8192)?;
    let mut buffers = Buffers::new(&ring, 1024, BUFFER)?;
    let mut conversations = conversations(service);
    let receive = |fd| opcode::RecvMulti::new(types::Fd(fd), Buffers::GROUP).build().user_data(data(RECEIVE, 0, fd));
    let accept = opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd())).build().user_data(data(ACCEPT, 0, 0));
    push(&mut ring, &accept)?;
    let mut batch: Vec<cqueue::Entry> = Vec::new();
    loop {
        match ring.submit_and_wait(1) {
            Err(error) if !matches!(error.raw_os_error(), Some(libc::EINTR | libc::EBUSY)) => return Err(error),
            _ => {}
        }
        batch.extend(ring.completion());
        for completion in batch.drain(..) {
            let (fd, result) = (completion.user_data() as u32 as RawFd, completion.result());
            let is_last = !cqueue::more(completion.flags());
            match completion.user_data() >> 56 {
                ACCEPT => {
                    if result >= 0 {
                        push(&mut ring, &receive(result))?;
                        if let Some(conversation) = conversations.get_mut(result as usize) {
                            *conversation = Conversation::default();
                        }
                    }
                    if is_last {
                        push(&mut ring, &accept)?;
                    }
                }
                RECEIVE if result > 0 => {
                    let index = cqueue::buffer_select(completion.flags()).expect("a buffer with bytes in it");
                    let bytes = buffers.get(index, result as usize);
                    let bytes = match conversations.get_mut(fd as usize) {
                        Some(conversation) => {
                            // The client sends nothing more before it has all answers: the last send has ended.
                            conversation.output.clear();
                            _ = conversation.hear(bytes);
                            conversation.output.as_slice()
                        }
                        None => bytes,
                    };
                    if bytes.is_empty() {
                        buffers.give(index);
                    } else {
                        let send = opcode::Send::new(types::Fd(fd), bytes.as_ptr(), bytes.len() as u32);
                        let send = send.flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL).build();
                        push(&mut ring, &send.user_data(data(SEND, index, fd)))?;
                    }
                    if is_last {
                        push(&mut ring, &receive(fd))?;
                    }
                }
                RECEIVE if result == -libc::ENOBUFS => push(&mut ring, &receive(fd))?,
                RECEIVE => {
                    let close = opcode::Close::new(types::Fd(fd)).build().flags(squeue::Flags::SKIP_SUCCESS);
                    push(&mut ring, &close.user_data(data(CLOSE, 0, fd)))?;
                }
                SEND => buffers.give((completion.user_data() >> 32) as u16),
                _ => {}
            }
        }
        buffers.publish();
    }
}

fn push(ring: &mut IoUring, entry: &squeue::Entry) -> io::Result<()> {
    if ring.submission().is_full() {
        ring.submit()?;
    }
    // SAFETY: what entries point to are buffers and conversations, which live as long as the process, and are left alone
    // until the operation has ended.
    unsafe { ring.submission().push(entry) }.map_err(io::Error::other)
}

// --- epoll: level-triggered, one read and one write for an event ---

fn on_epoll(listener: &TcpListener, service: Service) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut conversations = conversations(service);
    let mut buffer = [0; BUFFER];
    // SAFETY: it points to nothing.
    let epoll = unsafe { libc::epoll_create1(0) };
    watch(epoll, listener.as_raw_fd());
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 1024];
    loop {
        // SAFETY: there is room for so many events.
        let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), events.len() as i32, -1) };
        for event in &events[..count.max(0) as usize] {
            let fd = event.u64 as RawFd;
            if fd == listener.as_raw_fd() {
                // SAFETY: nothing is asked for but the descriptor.
                let fd = unsafe { libc::accept4(fd, std::ptr::null_mut(), std::ptr::null_mut(), libc::SOCK_NONBLOCK) };
                if fd >= 0 {
                    watch(epoll, fd);
                    if let Some(conversation) = conversations.get_mut(fd as usize) {
                        *conversation = Conversation::default();
                    }
                }
                continue;
            }
            // SAFETY: the buffer is that large.
            let length = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            if length <= 0 {
                // SAFETY: it is this loop's own.
                unsafe { libc::close(fd) };
                continue;
            }
            let bytes = &buffer[..length as usize];
            match conversations.get_mut(fd as usize) {
                Some(conversation) => {
                    _ = conversation.hear(bytes);
                    send(fd, &conversation.output);
                    conversation.output.clear();
                }
                None => send(fd, bytes),
            }
        }
    }
}

fn watch(epoll: RawFd, fd: RawFd) {
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: fd as u64 };
    // SAFETY: the event is read.
    unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) };
}

/// Sends all of it: what is asked for fits into the socket's buffer, or the client has gone.
fn send(fd: RawFd, bytes: &[u8]) {
    // SAFETY: the bytes are read.
    unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
}
