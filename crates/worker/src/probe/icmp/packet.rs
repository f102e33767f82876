//! Echo request and reply, RFC 792 and RFC 4443.

/// Bytes after the header, as `ping` sends them.
const PAYLOAD_BYTES: usize = 56;
const HEADER_BYTES: usize = 8;
/// A reply behind the longest IPv4 header.
pub(super) const REPLY_BYTES_MAX: usize = 60 + HEADER_BYTES + PAYLOAD_BYTES;

/// What makes a request and its reply belong together.
#[derive(Clone, Debug)]
pub(super) struct Echo {
    pub(super) v6: bool,
    pub(super) id: u16,
    pub(super) sequence: u16,
    /// Random, so that no stranger can guess a reply.
    pub(super) payload: [u8; PAYLOAD_BYTES],
}

impl Default for Echo {
    fn default() -> Self {
        Self { v6: false, id: 0, sequence: 0, payload: [0; PAYLOAD_BYTES] }
    }
}

impl Echo {
    /// The request. In IPv6 the kernel fills in the checksum, which covers addresses that only it knows.
    pub(super) fn request(&self) -> [u8; HEADER_BYTES + PAYLOAD_BYTES] {
        let mut packet = [0; HEADER_BYTES + PAYLOAD_BYTES];
        packet[0] = if self.v6 { 128 } else { 8 };
        packet[4..6].copy_from_slice(&self.id.to_be_bytes());
        packet[6..8].copy_from_slice(&self.sequence.to_be_bytes());
        packet[HEADER_BYTES..].copy_from_slice(&self.payload);
        if !self.v6 {
            let sum = checksum(&packet);
            packet[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        packet
    }

    /// Whether what came is the reply. On a raw socket IPv4 hands over its header too, and the id is
    /// the one that was sent; a datagram socket has another, by which the kernel has sorted already.
    pub(super) fn is_answered_by(&self, received: &[u8], raw: bool) -> bool {
        let header = match received.first() {
            Some(first) if raw && !self.v6 => usize::from(first & 0x0f) * 4,
            _ => 0,
        };
        let Some((&[kind, code, _, _, id0, id1, s0, s1], payload)) =
            received.get(header..).and_then(|icmp| icmp.split_first_chunk::<HEADER_BYTES>())
        else {
            return false;
        };
        let ours = !raw || u16::from_be_bytes([id0, id1]) == self.id;
        (kind, code) == (if self.v6 { 129 } else { 0 }, 0)
            && ours
            && u16::from_be_bytes([s0, s1]) == self.sequence
            && payload == self.payload
    }
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

    fn echo(v6: bool) -> Echo {
        Echo { v6, id: 0x1234, sequence: 7, payload: [0xa5; PAYLOAD_BYTES] }
    }

    /// What a host makes of the request: another type, the rest as it came.
    fn reply(echo: &Echo) -> Vec<u8> {
        let mut packet = echo.request().to_vec();
        packet[0] = if echo.v6 { 129 } else { 0 };
        packet
    }

    #[test]
    fn a_request_of_ipv4_has_a_checksum_that_a_receiver_finds_right() {
        let packet = echo(false).request();
        assert_eq!((packet[0], packet.len()), (8, 64));
        assert_eq!(checksum(&packet), 0, "the sum over everything, checksum included");
        assert_eq!(&echo(true).request()[..4], [128, 0, 0, 0], "the kernel's to fill in");
    }

    #[test]
    fn only_the_reply_to_the_request_counts() {
        for v6 in [false, true] {
            let echo = echo(v6);
            let good = reply(&echo);
            assert!(echo.is_answered_by(&good, v6));
            for place in [0, 1, 5, 7, 8, 63] {
                let mut other = good.clone();
                other[place] ^= 1;
                assert!(!echo.is_answered_by(&other, true), "byte {place}");
            }
            assert!(!echo.is_answered_by(&good[..63], v6), "short");
            assert!(!echo.is_answered_by(&[], v6));
            assert!(!echo.is_answered_by(&echo.request(), v6), "our own request, as a raw socket on loopback sees it");
        }
    }

    #[test]
    fn a_raw_socket_of_ipv4_shows_the_header_and_a_datagram_socket_another_id() {
        let echo = echo(false);
        let mut behind = vec![0x46; 24];
        behind.extend(reply(&echo));
        assert!(echo.is_answered_by(&behind, true), "24 bytes of header, as its first byte says");
        assert!(!echo.is_answered_by(&behind, false));
        let mut renumbered = reply(&echo);
        renumbered[4] ^= 0xff;
        assert!(echo.is_answered_by(&renumbered, false));
    }
}
