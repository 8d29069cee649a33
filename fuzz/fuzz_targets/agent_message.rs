//! The agent's messages: a request with and without a file beside it, and a reply. What is read is written as the same bytes.

#![no_main]

use agevault::session::protocol::HANDED;
use agevault::session::protocol::INLINE_MAX_BYTES;
use agevault::session::protocol::LENGTH_BYTES;
use agevault::session::protocol::Reply;
use agevault::session::protocol::Request;
use agevault::session::protocol::VERSION;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (frame, beside) = agevault_fuzz::split(data);
    let is_handed = frame.get(1).is_some_and(|kind| kind & HANDED != 0);
    let handed = is_handed.then_some(beside);
    if let Some(request) = Request::parse(frame, handed) {
        let again = request.frame(is_handed);
        let bytes = [again.head.expose(), again.tail].concat();
        assert_eq!(bytes.get(LENGTH_BYTES + 1..), frame.get(1..));
        assert!(again.tail.is_empty() || again.tail.len() > INLINE_MAX_BYTES);
    }
    if let Some(reply) = Reply::parse(frame)
        && frame.first() == Some(&VERSION)
    {
        let again = reply.frame();
        let bytes = [again.head.expose(), again.tail].concat();
        // A flag that is neither 0 nor 1 is read as 0.
        assert_eq!(bytes.len(), LENGTH_BYTES + frame.len());
    }
});
