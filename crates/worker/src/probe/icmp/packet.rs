//! Echo request and reply, RFC 792 and RFC 4443.

/// Bytes after the header, as `ping` sends them.
pub(super) const PAYLOAD_BYTES: usize = 56;
const HEADER_BYTES: usize = 8;
const PACKET_BYTES: usize = HEADER_BYTES + PAYLOAD_BYTES;
/// A reply behind the longest IPv4 header.
pub(super) const REPLY_BYTES_MAX: usize = 60 + PACKET_BYTES;

/// What a request carries and its reply brings back: random, so that no stranger can guess a reply.
pub(super) type Payload = [u8; PAYLOAD_BYTES];

/// An echo as it was received: a reply, or the beginning of a request that the network quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Echo<'a> {
    pub(super) id: u16,
    pub(super) sequence: u16,
    pub(super) payload: &'a [u8],
}

/// A request. In IPv6 the kernel fills in the checksum, which covers addresses that only it knows.
pub(super) fn request(v6: bool, id: u16, sequence: u16, payload: &Payload) -> [u8; PACKET_BYTES] {
    let mut packet = [0; PACKET_BYTES];
    packet[0] = request_type(v6);
    packet[4..6].copy_from_slice(&id.to_be_bytes());
    packet[6..8].copy_from_slice(&sequence.to_be_bytes());
    packet[HEADER_BYTES..].copy_from_slice(payload);
    if !v6 {
        let sum = checksum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// What was received, if it is a reply. On a raw socket IPv4 hands over its header too.
pub(super) fn reply(received: &[u8], v6: bool, raw: bool) -> Option<Echo<'_>> {
    let header = match received.first() {
        Some(first) if raw && !v6 => usize::from(first & 0x0f) * 4,
        _ => 0,
    };
    parse(received.get(header..)?, reply_type(v6))
}

/// What an ICMP error quotes, if it is a request. Only its header is certain to be there.
pub(super) fn quoted_request(quoted: &[u8], v6: bool) -> Option<Echo<'_>> {
    parse(quoted, request_type(v6))
}

fn parse(icmp: &[u8], expected: u8) -> Option<Echo<'_>> {
    let (&[kind, code, _, _, id0, id1, s0, s1], payload) = icmp.split_first_chunk::<HEADER_BYTES>()?;
    ((kind, code) == (expected, 0)).then_some(Echo { id: u16::from_be_bytes([id0, id1]), sequence: u16::from_be_bytes([s0, s1]), payload })
}

const fn request_type(v6: bool) -> u8 {
    if v6 { 128 } else { 8 }
}

pub(super) const fn reply_type(v6: bool) -> u8 {
    if v6 { 129 } else { 0 }
}

/// The Internet checksum, RFC 1071, of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes.as_chunks::<2>().0.iter().map(|pair| u32::from(u16::from_be_bytes(*pair))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    #[expect(clippy::cast_possible_truncation, reason = "folded to 16 bits")]
    {
        !(sum as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOAD: Payload = [0xa5; PAYLOAD_BYTES];
    const SENT: Echo<'_> = Echo { id: 0x1234, sequence: 7, payload: &PAYLOAD };

    /// What a host makes of the request: another type, the rest as it came.
    fn answer(v6: bool) -> Vec<u8> {
        let mut packet = request(v6, SENT.id, SENT.sequence, &PAYLOAD).to_vec();
        packet[0] = reply_type(v6);
        packet
    }

    #[test]
    fn a_request_of_ipv4_has_a_checksum_that_a_receiver_finds_right() {
        let packet = request(false, SENT.id, SENT.sequence, &PAYLOAD);
        assert_eq!((packet[0], packet.len()), (8, 64));
        assert_eq!(checksum(&packet), 0, "the sum over everything, checksum included");
        assert_eq!(&request(true, 1, 2, &PAYLOAD)[..4], [128, 0, 0, 0], "the kernel's to fill in");
    }

    #[test]
    fn a_reply_gives_back_what_was_sent_and_nothing_else_is_a_reply() {
        for v6 in [false, true] {
            let good = answer(v6);
            assert_eq!(reply(&good, v6, false), Some(SENT));
            for place in [0, 1] {
                let mut other = good.clone();
                other[place] ^= 1;
                assert_eq!(reply(&other, v6, false), None, "byte {place}");
            }
            assert_eq!(reply(&good[..7], v6, false), None, "short");
            assert_eq!(reply(&[], v6, true), None);
            let own = request(v6, 1, 2, &PAYLOAD);
            assert_eq!(reply(&own, v6, false), None, "our own request, as a raw socket on loopback sees it");
        }
    }

    #[test]
    fn a_raw_socket_of_ipv4_shows_the_header_too() {
        let mut behind = vec![0x46; 24];
        behind.extend(answer(false));
        assert_eq!(reply(&behind, false, true), Some(SENT), "24 bytes of header, as its first byte says");
        assert_eq!(reply(&behind, false, false), None);
        assert_eq!(reply(&answer(true), true, true), Some(SENT), "IPv6 shows none");
        assert_eq!(reply(&[0x4f; 8], false, true), None, "a header that is longer than the packet");
    }

    #[test]
    fn an_error_quotes_at_least_the_header_of_the_request() {
        let own = request(false, SENT.id, SENT.sequence, &PAYLOAD);
        assert_eq!(quoted_request(&own[..8], false), Some(Echo { payload: &[], ..SENT }));
        assert_eq!(quoted_request(&own, false), Some(SENT));
        assert_eq!(quoted_request(&answer(false), false), None, "an answer of ours to somebody else's ping");
    }
}
