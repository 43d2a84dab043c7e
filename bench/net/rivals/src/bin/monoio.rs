//! monoio's server: io_uring on one thread, or one for each of several, with the ring's modes that are best here.

use io_uring::IoUring;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::{TcpListener, TcpStream};
use monoio::{IoUringDriver, RuntimeBuilder};
use net::plaintext::Conversation;
use net::serving::{BUFFER, Options, Service, listen, serve_apart};
use std::io;

fn main() -> io::Result<()> {
    let options = Options::of_command_line();
    match options.workers {
        0 => run(options.service, listen()?),
        count => serve_apart(count, |listener| run(options.service, listener)),
    }
}

fn run(service: Service, listener: std::net::TcpListener) -> io::Result<()> {
    let mut ring = IoUring::builder();
    ring.setup_single_issuer().setup_coop_taskrun().setup_defer_taskrun();
    let mut runtime = RuntimeBuilder::<IoUringDriver>::new().with_entries(8192).uring_builder(ring).build()?;
    runtime.block_on(serve(service, listener))
}

async fn serve(service: Service, listener: std::net::TcpListener) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        match service {
            Service::Echo => drop(monoio::spawn(echo(stream))),
            Service::Plaintext => drop(monoio::spawn(answer(stream))),
        }
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        let (result, bytes) = stream.read(buffer).await;
        if result? == 0 {
            return Ok(());
        }
        let (result, bytes) = stream.write_all(bytes).await;
        result?;
        buffer = bytes;
        buffer.clear();
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut conversation = Conversation::default();
    loop {
        let (result, bytes) = stream.read(buffer).await;
        if result? == 0 {
            return Ok(());
        }
        conversation.hear(&bytes).map_err(|_| io::ErrorKind::InvalidData)?;
        buffer = bytes;
        buffer.clear();
        let (result, output) = stream.write_all(std::mem::take(&mut conversation.output)).await;
        result?;
        conversation.output = output;
        conversation.output.clear();
    }
}
