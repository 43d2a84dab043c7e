//! may's server: stackful coroutines, as Kettle's tasks are, on one worker.

use may::net::{TcpListener, TcpStream};
use net::plaintext::Conversation;
use net::serving::{BUFFER, Options, Service, listen};
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, IntoRawFd};

fn main() -> io::Result<()> {
    // In words.
    may::config().set_workers(1).set_stack_size(0x2000);
    // SAFETY: 1. no thread-local is used across a switch. 2. The stack is large enough for two small buffers.
    let server = unsafe { may::coroutine::spawn(serve) };
    server.join().expect("no server panics")
}

fn serve() -> io::Result<()> {
    let service = Options::of_command_line().service;
    // SAFETY: the descriptor is given away.
    let listener = unsafe { TcpListener::from_raw_fd(listen()?.into_raw_fd()) };
    loop {
        let (stream, _) = listener.accept()?;
        // SAFETY: as above.
        unsafe {
            may::coroutine::spawn(move || match service {
                Service::Echo => echo(stream),
                Service::Plaintext => answer(stream),
            })
        };
    }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n])?,
        }
    }
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    let mut conversation = Conversation::default();
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            n => conversation.hear(&buffer[..n]).map_err(|_| io::ErrorKind::InvalidData)?,
        }
        stream.write_all(&conversation.output)?;
        conversation.output.clear();
    }
}
