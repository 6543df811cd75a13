//! Answers on their way to a socket.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};
use protocol::{Caller, Reply};

/// A shorter piece costs less to copy than to name to the kernel.
const PIECE: usize = 1 << 10;

/// What was written for the socket, and between it the pieces of bodies that lie elsewhere.
///
/// A piece keeps the whole buffer alive that it is a part of: [`Output::own`] is for a client
/// that does not take them at once.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// In front of `last`.
    pieces: VecDeque<Bytes>,
    /// Bytes of the pieces.
    bytes: usize,
    last: BytesMut,
}

impl Output {
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes + self.last.len()
    }

    /// Where to write what comes next.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.last
    }

    /// Whole frames that somebody has written.
    pub(crate) fn frames(&mut self, frames: BytesMut) {
        match self.is_empty() {
            true => self.last = frames,
            false => self.last.extend_from_slice(&frames),
        }
    }

    /// A reply, if its caller waits for one.
    pub(crate) fn reply(&mut self, reply: Reply, caller: &Caller) {
        if !caller.waits() {
            return;
        }
        reply.encode_front(caller, &mut self.last);
        for piece in reply.pieces {
            self.piece(piece);
        }
    }

    fn piece(&mut self, piece: Bytes) {
        if piece.len() < PIECE {
            self.last.extend_from_slice(&piece);
            return;
        }
        let before = self.last.split().freeze();
        for piece in [before, piece] {
            if !piece.is_empty() {
                self.bytes += piece.len();
                self.pieces.push_back(piece);
            }
        }
    }

    /// Copies what lies elsewhere, so that only what is left to write is kept alive.
    pub(crate) fn own(&mut self) {
        if self.pieces.is_empty() {
            return;
        }
        let mut all = BytesMut::with_capacity(self.len());
        for piece in self.pieces.drain(..) {
            all.extend_from_slice(&piece);
        }
        all.extend_from_slice(&self.last);
        self.bytes = 0;
        self.last = all;
    }
}

impl Buf for Output {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&self.last, |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let chunks = self.pieces.iter().map(|piece| &piece[..]);
        let chunks = chunks.chain((!self.last.is_empty()).then_some(&self.last[..]));
        let mut count = 0;
        for (slot, chunk) in into.iter_mut().zip(chunks) {
            *slot = IoSlice::new(chunk);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(front) = self.pieces.front_mut() {
            let taken = count.min(front.len());
            front.advance(taken);
            self.bytes -= taken;
            count -= taken;
            if !front.is_empty() {
                return;
            }
            self.pieces.pop_front();
        }
        if count == self.last.len() {
            // What is cleared keeps its room; what is advanced over loses it.
            self.last.clear();
        } else {
            self.last.advance(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::{Flag, Frame, RequestCode, ResponseCode};

    use super::*;

    fn caller() -> Caller {
        Caller::of(&Frame::request(
            RequestCode::PULL_MESSAGE,
            Default::default(),
            Bytes::new(),
        ))
    }

    fn found(pieces: &[usize]) -> Reply {
        let piece = |(number, length): (usize, &usize)| Bytes::from(vec![number as u8; *length]);
        let pieces = pieces.iter().enumerate().map(piece).collect();
        Reply::new(ResponseCode::SUCCESS).pieces(pieces)
    }

    /// Everything, taken in steps as a socket would.
    fn taken(output: &mut Output, steps: &[usize], own_before: usize) -> Vec<u8> {
        let mut all = Vec::new();
        for step in 0.. {
            if step == own_before {
                output.own();
            }
            let mut slices = [IoSlice::new(&[]); 4];
            let count = output.chunks_vectored(&mut slices);
            let there: usize = slices[..count].iter().map(|slice| slice.len()).sum();
            assert_eq!(there == 0, output.is_empty());
            let now = steps[step % steps.len()].min(there);
            let bytes = slices[..count].iter().flat_map(|slice| slice.iter());
            all.extend(bytes.copied().take(now));
            output.advance(now);
            if output.is_empty() {
                break;
            }
        }
        all
    }

    proptest! {
        #[test]
        fn what_a_socket_takes_is_what_the_replies_are(
            replies in prop::collection::vec(prop::collection::vec(0..3 * PIECE, 0..6), 1..5),
            steps in prop::collection::vec(1..5 * PIECE, 1..6),
            own_before in 0..20_usize,
        ) {
            let (mut output, mut expected) = (Output::default(), BytesMut::new());
            for pieces in &replies {
                found(pieces).encode_for(&caller(), &mut expected);
                output.reply(found(pieces), &caller());
                prop_assert_eq!(output.len(), expected.len());
            }
            prop_assert_eq!(taken(&mut output, &steps, own_before), expected.to_vec());
            prop_assert_eq!(output.len(), 0);
        }
    }

    #[test]
    fn large_pieces_stay_where_they_are_until_they_are_owned() {
        let reply = found(&[2 * PIECE, 10]);
        let there = reply.pieces[0].as_ptr();
        let mut output = Output::default();
        output.reply(reply, &caller());
        let named = |output: &Output| output.pieces.iter().any(|piece| piece.as_ptr() == there);
        assert!(named(&output));
        output.own();
        assert!(output.pieces.is_empty() && !named(&output));
    }

    #[test]
    fn who_does_not_wait_gets_nothing() {
        let mut request =
            Frame::request(RequestCode::PULL_MESSAGE, Default::default(), Bytes::new());
        request.header.flag = Flag::ONEWAY;
        let mut output = Output::default();
        output.reply(found(&[PIECE]), &Caller::of(&request));
        assert!(output.is_empty());
    }
}
