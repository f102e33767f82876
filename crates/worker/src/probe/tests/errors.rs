//! Errors of the network that loopback cannot make.

use std::io;

use quorate_core::failure::FailureReason as R;

use super::{Finding, failed};
use crate::probe::classify::classify;
use crate::probe::fault::Fault;

#[test]
fn errors_of_connect_have_their_reasons_and_our_own_shortages_none() {
    let connect = |errno: i32, v6: bool| classify(&Fault::Connect { source: io::Error::from_raw_os_error(errno), v6 });
    let ours = Finding::Abstained(R::OtherFailure);
    for (name, errno, finding) in [
        ("ECONNREFUSED", 111, failed(R::TcpConnectionFailed)),
        ("ECONNRESET", 104, failed(R::ConnectionReset)),
        ("EACCES", 13, failed(R::TcpConnectionFailed)),
        ("EPERM", 1, failed(R::TcpConnectionFailed)),
        ("EPROTO", 71, failed(R::TcpConnectionFailed)),
        ("ETIMEDOUT", 110, failed(R::TcpTimeout)),
        ("EHOSTUNREACH", 113, failed(R::NoRouteToHost)),
        ("EHOSTDOWN", 112, failed(R::NoRouteToHost)),
        ("ENETUNREACH", 101, failed(R::NetworkUnreachable)),
        ("EAFNOSUPPORT", 97, failed(R::NetworkUnreachable)),
        ("EMFILE", 24, ours),
        ("ENFILE", 23, ours),
        ("ENOBUFS", 105, ours),
        ("ENOMEM", 12, ours),
    ] {
        assert_eq!(connect(errno, false), finding, "{name}");
    }
    assert_eq!(connect(99, true), failed(R::NetworkUnreachable), "EADDRNOTAVAIL: no IPv6 address of our own");
    assert_eq!(connect(99, false), ours, "EADDRNOTAVAIL: no port of our own is free");
}

#[test]
fn only_time_running_out_is_tried_again() {
    let connect = |errno: i32| Fault::Connect { source: io::Error::from_raw_os_error(errno), v6: false };
    assert!(connect(110).timed_out() && Fault::ResolverDown { timed_out: true }.timed_out());
    for answer in [connect(111), connect(113), Fault::NoAddress, Fault::Code(500), Fault::Body, Fault::ResolverDown { timed_out: false }] {
        assert!(!answer.timed_out(), "{answer:?}");
    }
}
