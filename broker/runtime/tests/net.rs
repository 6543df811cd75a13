//! Connections by TCP and inside the process behave alike, and break on command.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::io::{ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use runtime::{Clock, Listener, Net, Rng, SimClock, SimNet, Stream, Tasks};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A connection and its far side.
async fn pair(net: &Net, listener: &Listener) -> (Stream, Stream) {
    let address = listener.local_addr().unwrap().to_string();
    let (near, far) = tokio::join!(net.connect(&address), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

async fn both() -> Vec<(Net, Listener)> {
    both_at(any_port()).await
}

async fn both_at(address: SocketAddr) -> Vec<(Net, Listener)> {
    let mut both = Vec::new();
    for net in [Net::real(), Net::in_memory()] {
        let listener = net.listen(address).await.unwrap();
        both.push((net, listener));
    }
    both
}

#[tokio::test]
async fn bytes_arrive_in_order_and_then_the_end() {
    for (net, listener) in both().await {
        let (mut near, mut far) = pair(&net, &listener).await;
        let sent: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
        let send = async {
            near.write_all(&sent).await.unwrap();
            near.shutdown().await.unwrap();
        };
        let mut received = Vec::new();
        let (_, read) = tokio::join!(send, far.read_to_end(&mut received));
        assert_eq!(read.unwrap(), sent.len());
        assert!(received == sent);
        far.write_all(b"the other way is still open").await.unwrap();
        drop(far);
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "the other way is still open");
    }
}

#[tokio::test]
async fn both_sides_know_each_others_address() {
    for (net, listener) in both().await {
        let (near, far) = pair(&net, &listener).await;
        assert_eq!(near.peer_addr().unwrap(), listener.local_addr().unwrap());
        assert_eq!(far.peer_addr().unwrap(), near.local_addr().unwrap());
        assert_eq!(far.local_addr().unwrap(), near.peer_addr().unwrap());
    }
}

#[tokio::test]
async fn the_halves_serve_two_tasks() {
    let tasks = Tasks::new(Clock::real());
    for (net, listener) in both().await {
        let (near, far) = pair(&net, &listener).await;
        let echo = tasks.spawn("echo", async move {
            let (mut reader, mut writer) = far.into_split();
            tokio::io::copy(&mut reader, &mut writer).await.unwrap()
        });
        let (mut reader, mut writer) = near.into_split();
        assert!(writer.is_write_vectored());
        let written = writer
            .write_vectored(&[IoSlice::new(b"two "), IoSlice::new(b"slices")])
            .await
            .unwrap();
        drop(writer);
        let mut answer = String::new();
        reader.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "two slices"[..written]);
        assert_eq!(echo.await.unwrap(), written as u64);
    }
}

#[tokio::test]
async fn nobody_listening_is_a_refusal() {
    // A host of its own: no other test can take the port in between.
    for (net, listener) in both_at("127.0.0.2:0".parse().unwrap()).await {
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        assert_eq!(
            net.connect(&address).await.err().unwrap().kind(),
            ErrorKind::ConnectionRefused
        );
        net.listen(address.parse().unwrap())
            .await
            .expect("the address is free again");
    }
}

#[tokio::test]
async fn an_address_has_one_listener() {
    for (net, listener) in both().await {
        let second = net.listen(listener.local_addr().unwrap()).await;
        assert_eq!(second.err().unwrap().kind(), ErrorKind::AddrInUse);
    }
}

#[tokio::test]
async fn writing_to_one_who_left_fails() {
    for (net, listener) in both().await {
        let (mut near, far) = pair(&net, &listener).await;
        drop(far);
        let failed = async {
            loop {
                if let Err(error) = near.write_all(&[0; 4096]).await {
                    return error.kind();
                }
            }
        };
        assert!(matches!(
            failed.await,
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
        ));
    }
}

#[tokio::test]
async fn a_writer_in_memory_waits_for_its_reader() {
    let net = Net::in_memory();
    let listener = net.listen(any_port()).await.unwrap();
    let (mut near, mut far) = pair(&net, &listener).await;
    let mut written = 0;
    loop {
        tokio::select! {
            biased;
            taken = near.write(&[1; 5000]) => written += taken.unwrap(),
            () = std::future::ready(()) => break,
        }
    }
    assert!((5000..1 << 20).contains(&written), "{written}");
    let mut all = vec![0; written];
    far.read_exact(&mut all).await.unwrap();
    near.write_all(&[2]).await.unwrap();
}

#[tokio::test]
async fn a_cut_resets_both_sides_and_new_connections_succeed() {
    let sim = SimNet::new();
    let net = sim.net();
    let listener = net.listen(any_port()).await.unwrap();
    let (mut near, mut far) = pair(&net, &listener).await;
    near.write_all(b"on its way").await.unwrap();
    assert_eq!(
        (
            sim.open_connections(),
            sim.cut(listener.local_addr().unwrap())
        ),
        (1, 1)
    );
    let mut into = [0; 10];
    assert_eq!(
        far.read(&mut into).await.unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    assert_eq!(
        near.read(&mut into).await.unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    assert_eq!(
        near.write(b"x").await.unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    let (mut near, mut far) = pair(&net, &listener).await;
    near.write_all(b"again").await.unwrap();
    assert_eq!(far.read(&mut into).await.unwrap(), 5);
    drop((near, far));
    assert_eq!(sim.open_connections(), 0);
}

#[tokio::test]
async fn a_cut_wakes_a_reader_that_waits() {
    let sim = SimNet::new();
    let listener = sim.net().listen(any_port()).await.unwrap();
    let (mut near, _far) = pair(&sim.net(), &listener).await;
    let mut into = [0; 1];
    let (read, _) = tokio::join!(biased_read(&mut near, &mut into), async {
        sim.cut(listener.local_addr().unwrap());
    });
    assert_eq!(read, ErrorKind::ConnectionReset);
}

async fn biased_read(stream: &mut Stream, into: &mut [u8]) -> ErrorKind {
    stream.read(into).await.unwrap_err().kind()
}

#[tokio::test]
async fn a_server_refuses_as_long_as_it_is_told_to() {
    let sim = SimNet::new();
    let listener = sim.net().listen(any_port()).await.unwrap();
    let address = listener.local_addr().unwrap();
    sim.refuse(address, true);
    assert!(sim.net().connect(&address.to_string()).await.is_err());
    sim.refuse(address, false);
    pair(&sim.net(), &listener).await;
}

#[tokio::test]
async fn hosts_have_addresses_and_can_be_parted() {
    let sim = SimNet::new();
    let (one, other) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
    let listener = sim
        .host(other)
        .net()
        .listen("10.0.0.2:9876".parse().unwrap())
        .await
        .unwrap();
    let (near, _far) = pair(&sim.host(one).net(), &listener).await;
    assert_eq!(near.local_addr().unwrap().ip(), one);
    assert_eq!(sim.cut_between(other, "10.0.0.3".parse().unwrap()), 0);
    assert_eq!(sim.cut_between(other, one), 1);
}

#[tokio::test]
async fn a_listener_on_all_addresses_answers_on_each() {
    let net = Net::in_memory();
    let _listener = net.listen("0.0.0.0:9876".parse().unwrap()).await.unwrap();
    assert!(net.connect("127.0.0.1:9876").await.is_ok());
    assert!(net.connect("localhost:9876").await.is_ok());
    assert_eq!(
        net.connect("no.such.host:9876").await.err().unwrap().kind(),
        ErrorKind::InvalidInput
    );
}

#[tokio::test]
async fn a_local_address_is_reached_without_tcp_by_us_and_by_tcp_by_others() {
    let plain = Net::real();
    // A port that was free a moment ago, on a host that no other test uses.
    let free = plain.listen("127.0.0.3:0".parse().unwrap()).await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let net = Net::real().with_local(address);
    assert_eq!(
        net.connect(&address.to_string())
            .await
            .err()
            .unwrap()
            .kind(),
        ErrorKind::ConnectionRefused
    );
    let listener = net.listen(address).await.unwrap();
    assert_eq!(listener.local_addr().unwrap(), address);
    let (mut ours, mut far_of_ours) = pair(&net, &listener).await;
    let (mut theirs, mut far_of_theirs) = pair(&plain, &listener).await;
    assert!(!ours.is_tcp() && !far_of_ours.is_tcp() && theirs.is_tcp() && far_of_theirs.is_tcp());
    for (near, far) in [
        (&mut ours, &mut far_of_ours),
        (&mut theirs, &mut far_of_theirs),
    ] {
        near.write_all(b"hello").await.unwrap();
        let mut into = [0; 5];
        far.read_exact(&mut into).await.unwrap();
        assert_eq!(&into, b"hello");
    }
}

#[tokio::test]
async fn what_is_delayed_arrives_in_order_and_on_its_day() {
    let (sim, clock) = (SimNet::new(), SimClock::new(0));
    sim.delay(1_000..5_000, clock.clock(), Rng::seeded(1));
    let net = sim.net();
    let listener = net.listen(any_port()).await.unwrap();
    let (mut near, mut far) = pair(&net, &listener).await;
    let reading = tokio::spawn(async move {
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.unwrap();
        received
    });
    for part in [b"one ", b"two ", b"end."] {
        near.write_all(part).await.unwrap();
    }
    drop(near);
    clock.run(Duration::from_micros(999)).await;
    assert!(!reading.is_finished(), "nothing travels faster");
    clock.run(Duration::from_millis(5)).await;
    assert!(reading.is_finished(), "nothing travels slower");
    assert_eq!(reading.await.unwrap(), b"one two end.");
}

#[tokio::test]
async fn what_is_held_arrives_when_it_is_let_go_and_nobody_sees_an_error() {
    let sim = SimNet::new();
    let (one, other) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
    let listener = sim
        .host(other)
        .net()
        .listen(SocketAddr::new(other, 0))
        .await
        .unwrap();
    let (mut near, mut far) = pair(&sim.host(one).net(), &listener).await;
    sim.hold(other, one, true);
    near.write_all(b"held").await.unwrap();
    drop(near);
    let mut received = Vec::new();
    {
        let mut reading = pin!(far.read_to_end(&mut received));
        assert!(futures::poll!(reading.as_mut()).is_pending());
        sim.hold(one, other, false);
        assert_eq!(reading.await.unwrap(), 4);
    }
    assert_eq!(received, b"held");
}
