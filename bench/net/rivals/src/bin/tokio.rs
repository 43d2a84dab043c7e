//! tokio's server: one thread, and tasks that stay on it; or several, and tasks that any of them runs.

use net::plaintext::Conversation;
use net::serving::{BUFFER, Options, Service, listen};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn, spawn_local};

fn main() -> io::Result<()> {
    let options = Options::of_command_line();
    match options.workers {
        0 => {
            let runtime = Builder::new_current_thread().enable_io().build()?;
            runtime.block_on(LocalSet::new().run_until(serve(options.service)))
        }
        count => {
            let runtime = Builder::new_multi_thread().worker_threads(count).enable_io().build()?;
            runtime.block_on(serve_anywhere(options.service))
        }
    }
}

fn listener() -> io::Result<TcpListener> {
    let listener = listen()?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

async fn serve_anywhere(service: Service) -> io::Result<()> {
    let listener = listener()?;
    loop {
        let (stream, _) = listener.accept().await?;
        match service {
            Service::Echo => drop(spawn(echo(stream))),
            Service::Plaintext => drop(spawn(answer(stream))),
        }
    }
}

async fn serve(service: Service) -> io::Result<()> {
    let listener = listener()?;
    loop {
        let (stream, _) = listener.accept().await?;
        match service {
            Service::Echo => drop(spawn_local(echo(stream))),
            Service::Plaintext => drop(spawn_local(answer(stream))),
        }
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n]).await?,
        }
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    let mut conversation = Conversation::default();
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            n => conversation.hear(&buffer[..n]).map_err(|_| io::ErrorKind::InvalidData)?,
        }
        stream.write_all(&conversation.output).await?;
        conversation.output.clear();
    }
}
