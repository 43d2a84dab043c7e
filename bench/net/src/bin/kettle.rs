//! Kettle's server: the loop of the example `echo`, with options that a measurement needs.

use kettle::net::{TcpListener, TcpStream};
use kettle::workers::{Worker, Workers};
use kettle::{EventLoop, thread, workers};
use kettle_driver::Config;
use net::plaintext::Conversation;
use net::server::idle_connections;
use net::serving::{BUFFER, Options, Service, listen, listen_apart};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

fn main() -> io::Result<()> {
    let options = Options::of_command_line();
    let driver = Config { spin: options.spin, ..Config::default() };
    match options.workers {
        0 => EventLoop::builder().driver(driver).build()?.run(|| serve(&options)),
        count if options.apart => serve_apart(workers(count).driver(driver).pinned(), &options),
        count if options.pinned => serve_on(workers(count).driver(driver).pinned(), &options),
        count => serve_on(workers(count).driver(driver), &options),
    }
}

/// Each worker has a listener of its own, and serves what it accepts.
fn serve_apart(workers: Workers, options: &Options) -> io::Result<()> {
    let (listeners, service) = (listen_apart(options.workers)?, options.service);
    let ended = workers.run(|worker: &Worker<'_, '_>| -> io::Result<()> {
        let listener = TcpListener::from(listeners[worker.index()].try_clone()?);
        loop {
            let (stream, _) = listener.accept()?;
            thread::spawn(move || converse(service, stream));
        }
    });
    ended?.into_iter().collect()
}

/// As the example does: each worker accepts, and hands the connection to the one that has least.
fn serve_on(workers: Workers, options: &Options) -> io::Result<()> {
    let (listener, service) = (TcpListener::from(listen()?), options.service);
    let ended = workers.run(|worker: &Worker<'_, '_>| -> io::Result<()> {
        loop {
            let (stream, _) = listener.accept()?;
            drop(worker.spawn_on(worker.least_loaded(), move || converse(service, stream)));
        }
    });
    ended?.into_iter().collect()
}

fn serve(options: &Options) -> io::Result<()> {
    let _peers = idle(options.idle)?;
    // They begin to wait before anybody knows the address.
    thread::yield_now();
    let listener = TcpListener::from(listen()?);
    loop {
        let (stream, _) = listener.accept()?;
        let service = options.service;
        thread::spawn(move || converse(service, stream));
    }
}

fn converse(service: Service, stream: TcpStream) -> io::Result<()> {
    match service {
        Service::Echo => echo(stream),
        Service::Plaintext => answer(stream),
    }
}

/// Spawns tasks that read from connections to which nothing is written, and gives the other ends. If there are not enough
/// descriptors, several tasks wait on one.
fn idle(tasks: usize) -> io::Result<Vec<UnixStream>> {
    let pairs = idle_connections(tasks);
    let (ours, theirs): (Vec<_>, Vec<_>) =
        (0..pairs).map(|_| UnixStream::pair()).collect::<io::Result<Vec<_>>>()?.into_iter().unzip();
    let ours: Vec<_> = ours.into_iter().map(|ours| Rc::new(TcpStream::from(OwnedFd::from(ours)))).collect();
    for task in 0..tasks {
        let stream = Rc::clone(&ours[task % pairs]);
        thread::spawn(move || {
            let mut buffer = [0; BUFFER];
            (&*stream).read(&mut buffer)
        });
    }
    Ok(theirs)
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
