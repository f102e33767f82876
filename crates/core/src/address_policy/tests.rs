use super::*;

const PUBLIC: [&str; 49] = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "93.184.215.14",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.0.3.0",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "192.175.48.1",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "168.63.129.15",
    "168.63.129.17",
    "2001:200::",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450:4001:80b::200e",
    "2620:4f:8000::1",
    "2000::",
    "2001:db7:ffff::1",
    "2001:db9::",
    "3ffe::1",
    "3fff:1000::",
    "2003::1",
    "::ffff:8.8.8.8",
    "::ffff:101:101",
    "64:ff9b::8.8.8.8",
    "64:ff9b::101:101",
    "2002:808:808::1",
    "2002:101:101:1::1",
    "2001:0:808:808:0:0:fefe:fefe",
];

const METADATA: [&str; 29] = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "169.254.0.23",
    "169.254.42.42",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd00:ec2:0:0:0:0:0:254",
    "FD00:EC2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "fd00:42::42",
    "fe80::a9fe:a9fe",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "0:0:0:0:0:FFFF:A9FE:A9FE",
    "64:ff9b::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "2002:a9fe:a9fe:1::1",
    "2001:0:808:808:0:0:5601:5601",
    "2001:0:a9fe:a9fe:0:0:f7f7:f7f7",
    "::ffff:100.100.100.200",
    "64:ff9b::6464:64c8",
    "2002:6464:64c8::1",
    "::ffff:168.63.129.16",
    "64:ff9b::a83f:8110",
];

const LOOPBACK: [&str; 17] = [
    "127.0.0.0",
    "127.0.0.1",
    "127.0.1.1",
    "127.1.2.3",
    "127.255.255.255",
    "::1",
    "0:0:0:0:0:0:0:1",
    "0000:0000:0000:0000:0000:0000:0000:0001",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::FFFF:7FFF:FFFF",
    "64:ff9b::127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2002:7f00:1::1",
    "2001:0:808:808:0:0:80ff:fffe",
    "2001:0:7f00:1:0:0:f7f7:f7f7",
];

const PRIVATE: [&str; 32] = [
    "10.0.0.0",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.0",
    "172.20.10.5",
    "172.31.255.255",
    "192.168.0.0",
    "192.168.1.1",
    "192.168.255.255",
    "fc00::",
    "fc00::1",
    "fd00::1",
    "fd12:3456:789a:1::1",
    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fd00:ec2::253",
    "fd00:ec2::255",
    "fec0::1",
    "feff:ffff::1",
    "::ffff:10.0.0.1",
    "::ffff:a00:1",
    "::ffff:172.16.0.1",
    "::ffff:192.168.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::c0a8:1",
    "2002:a00:1::1",
    "2002:c0a8:101::1",
    "2002:ac10:1::1",
    "2001:0:808:808:0:0:f5ff:fffe",
    "2001:0:c0a8:101:0:0:f7f7:f7f7",
    "64:ff9b:1::1.1.1.1",
    "64:ff9b:1::8.8.8.8",
    "64:ff9b:1:ffff:ffff:ffff:10.0.0.1",
];

const LINK_LOCAL: [&str; 14] = [
    "169.254.0.0",
    "169.254.0.1",
    "169.254.169.253",
    "169.254.169.255",
    "169.254.255.255",
    "fe80::",
    "fe80::1",
    "fe80::a9fe:a9fd",
    "febf:ffff::1",
    "::ffff:169.254.1.1",
    "::ffff:a9fe:101",
    "64:ff9b::169.254.1.1",
    "2002:a9fe:101::1",
    "2001:0:808:808:0:0:5601:fefe",
];

const SHARED: [&str; 9] = [
    "100.64.0.0",
    "100.64.0.1",
    "100.100.100.199",
    "100.100.100.201",
    "100.127.255.255",
    "::ffff:100.64.0.1",
    "64:ff9b::6440:1",
    "2002:6440:1::1",
    "2001:0:808:808:0:0:9bbf:fffe",
];

const NOT_A_HOST: [&str; 75] = [
    "0.0.0.0",
    "0.0.0.1",
    "0.1.2.3",
    "0.255.255.255",
    "192.0.0.0",
    "192.0.0.1",
    "192.0.0.8",
    "192.0.0.9",
    "192.0.0.170",
    "192.0.0.255",
    "192.0.2.0",
    "192.0.2.1",
    "192.0.2.255",
    "192.88.99.1",
    "198.18.0.0",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "203.0.113.255",
    "224.0.0.0",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.0",
    "240.0.0.1",
    "255.255.255.254",
    "255.255.255.255",
    "::",
    "0:0:0:0:0:0:0:0",
    "::2",
    "::127.0.0.1",
    "::10.0.0.1",
    "::8.8.8.8",
    "::ffff:0:7f00:1",
    "::ffff:0:808:808",
    "::ffff:0.0.0.0",
    "::ffff:0:0",
    "::ffff:255.255.255.255",
    "::ffff:224.0.0.1",
    "64:ff9b::0.0.0.0",
    "64:ff9b::e000:1",
    "64:ff9b:0:1::1",
    "64:ff9b:2::1",
    "100::1",
    "100:0:0:1::1",
    "200::1",
    "1000::1",
    "1fff:ffff::1",
    "2001:1::1",
    "2001:2::1",
    "2001:3::1",
    "2001:4:112::1",
    "2001:10::1",
    "2001:20::1",
    "2001:30::1",
    "2001:1ff:ffff::1",
    "2001:0:0:0:0:0:0:0",
    "2001:0:808:808:0:0:ffff:ffff",
    "2001:db8::",
    "2001:db8::1",
    "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
    "2002::1",
    "2002:e000:1::1",
    "2002:cb00:7101::1",
    "3fff::1",
    "3fff:fff:ffff::1",
    "4000::1",
    "5f00::1",
    "8000::1",
    "fbff::1",
    "fe00::1",
    "ff00::",
    "ff02::1",
    "ff0e::1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
];

/// Each class of refused addresses.
const REFUSED: [(Refusal, &[&str]); 6] = [
    (Refusal::Metadata, &METADATA),
    (Refusal::Loopback, &LOOPBACK),
    (Refusal::Private, &PRIVATE),
    (Refusal::LinkLocal, &LINK_LOCAL),
    (Refusal::Shared, &SHARED),
    (Refusal::NotAHost, &NOT_A_HOST),
];

fn policy(ranges: &[&str]) -> AddressPolicy {
    AddressPolicy::new(ranges.iter().map(|range| range.parse().expect("a range")).collect())
}

fn judged(policy: &AddressPolicy, literal: &str) -> Result<(), Refusal> {
    policy.judge(literal.parse().unwrap_or_else(|_| panic!("{literal} is an address")))
}

#[test]
fn without_the_operators_word_only_public_addresses_are_probed() {
    let nothing = policy(&[]);
    for literal in PUBLIC {
        assert_eq!(judged(&nothing, literal), Ok(()), "{literal}");
    }
    for (refusal, literals) in REFUSED {
        for literal in literals {
            assert_eq!(judged(&nothing, literal), Err(refusal), "{literal}");
        }
    }
    assert!(PUBLIC.len() + REFUSED.iter().map(|(_, literals)| literals.len()).sum::<usize>() > 150);
}

#[test]
fn allowing_everything_allows_neither_metadata_nor_what_is_no_host() {
    let everything = policy(&["0.0.0.0/0", "::/0"]);
    for literal in PUBLIC {
        assert_eq!(judged(&everything, literal), Ok(()), "{literal}");
    }
    for (refusal, literals) in REFUSED {
        let never = matches!(refusal, Refusal::Metadata | Refusal::NotAHost);
        for literal in literals {
            assert_eq!(judged(&everything, literal), if never { Err(refusal) } else { Ok(()) }, "{literal}");
        }
    }
}

#[test]
fn metadata_takes_the_exact_address() {
    for wide in [&["169.254.169.254/31", "fd00:ec2::254/127"][..], &["169.254.0.0/16", "fd00:ec2::/32"]] {
        for literal in METADATA {
            assert_eq!(judged(&policy(wide), literal), Err(Refusal::Metadata), "{literal} by {wide:?}");
        }
    }
    let exact = policy(&["169.254.169.254/32", "fd00:ec2::254/128"]);
    for literal in ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "fd00:ec2::254"] {
        assert_eq!(judged(&exact, literal), Ok(()), "{literal}");
    }
    for literal in ["169.254.170.2", "100.100.100.200", "fd00:ec2::23", "fd20:ce::254"] {
        assert_eq!(judged(&exact, literal), Err(Refusal::Metadata), "{literal}");
    }
    assert_eq!(judged(&exact, "169.254.169.253"), Err(Refusal::LinkLocal));
    // The range that is written with the host's bits set is still a range.
    assert_eq!(judged(&policy(&["169.254.169.254/24"]), "169.254.169.254"), Err(Refusal::Metadata));
}

#[test]
fn a_range_allows_its_addresses_in_every_spelling_and_nothing_else() {
    let own = policy(&["10.1.0.0/16", "fd12::/16", "127.0.0.0/8", "::1/128"]);
    for literal in [
        "10.1.0.0",
        "10.1.255.255",
        "::ffff:10.1.2.3",
        "64:ff9b::10.1.2.3",
        "2002:a01:203::1",
        "2001:0:808:808:0:0:f5fe:fdfc",
        "fd12::1",
        "127.0.0.1",
        "::ffff:127.0.0.1",
        "::1",
    ] {
        assert_eq!(judged(&own, literal), Ok(()), "{literal}");
    }
    for (literal, refusal) in [
        ("10.0.255.255", Refusal::Private),
        ("10.2.0.0", Refusal::Private),
        ("::ffff:10.2.0.0", Refusal::Private),
        ("192.168.0.1", Refusal::Private),
        ("fd13::1", Refusal::Private),
        ("169.254.1.1", Refusal::LinkLocal),
        ("100.64.0.1", Refusal::Shared),
        ("0.0.0.0", Refusal::NotAHost),
        ("::", Refusal::NotAHost),
        ("::127.0.0.1", Refusal::NotAHost),
    ] {
        assert_eq!(judged(&own, literal), Err(refusal), "{literal}");
    }
}

#[test]
fn behind_a_translator_of_the_operators_own_both_sides_are_judged() {
    let translator = policy(&["64:ff9b:1::/96"]);
    assert_eq!(judged(&translator, "64:ff9b:1::8.8.8.8"), Ok(()));
    assert_eq!(judged(&translator, "64:ff9b:1::10.0.0.1"), Err(Refusal::Private));
    assert_eq!(judged(&translator, "64:ff9b:1::169.254.169.254"), Err(Refusal::Metadata));
    assert_eq!(judged(&policy(&["64:ff9b:1::/96", "10.0.0.0/8"]), "64:ff9b:1::10.0.0.1"), Ok(()));
    assert_eq!(judged(&policy(&["10.0.0.0/8"]), "64:ff9b:1::10.0.0.1"), Err(Refusal::Private));
}

#[test]
fn whatever_ends_at_one_host_is_that_host() {
    for (literal, ends_at) in [
        ("9.9.9.9", "9.9.9.9"),
        ("::ffff:9.9.9.9", "9.9.9.9"),
        ("64:ff9b::909:909", "9.9.9.9"),
        ("2002:909:909:1::1", "9.9.9.9"),
        ("64:ff9b:1::9.9.9.9", "64:ff9b:1::9.9.9.9"),
        ("2620:fe::9", "2620:fe::9"),
        ("::9.9.9.9", "::9.9.9.9"),
    ] {
        let parse = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(destination(parse(literal)), parse(ends_at), "{literal}");
    }
}

/// Spellings that some resolvers take for an address are names here, judged when they have led to one.
#[test]
fn odd_spellings_are_not_addresses() {
    for literal in [
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "0",
        "00.0.0.0",
        "127.0.0.01",
        "169.254.43518",
        "0xa9fea9fe",
        "2852039166",
        "0251.0376.0251.0376",
        "127.0.0.1.",
        "127.0.0.1%lo",
        "fe80::1%eth0",
        "fe80::a9fe:a9fe%2",
        "[::1]",
        "::1]",
        "::ffff:127.1",
        "localhost",
        "１２７.0.0.1",
        " 127.0.0.1",
        "127.0.0.1\n",
    ] {
        assert!(literal.parse::<IpAddr>().is_err(), "{literal:?}");
    }
}
