//! How a worker introduces itself.

use quorate_core::bucket::Bucket;
use quorate_core::pop::PopCode;
use quorate_core::region::Region;

use super::{Malformed, bucket, sixteen};
use crate::v1;

/// A worker's introduction, read. Whether it is who it says is the token's question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// See [`PROTOCOL`](crate::PROTOCOL).
    pub protocol: u32,
    pub pop: PopCode,
    pub region: Region,
    pub session_epoch: u64,
    /// Drawn once a process.
    pub boot_id: [u8; 16],
    pub version: String,
    pub capabilities: Vec<String>,
    pub held: Vec<HeldManifest>,
}

/// A manifest that the worker still has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldManifest {
    pub bucket: Bucket,
    pub version: u64,
    pub hash: u64,
}

impl From<&Hello> for v1::Hello {
    fn from(hello: &Hello) -> Self {
        let held = |held: &HeldManifest| v1::HeldManifest { bucket: held.bucket.number().into(), version: held.version, hash: held.hash };
        Self {
            protocol: hello.protocol,
            pop: hello.pop.to_string(),
            region: hello.region.code().to_owned(),
            session_epoch: hello.session_epoch,
            boot_id: hello.boot_id.to_vec().into(),
            version: hello.version.clone(),
            capabilities: hello.capabilities.clone(),
            held: hello.held.iter().map(held).collect(),
        }
    }
}

impl TryFrom<v1::Hello> for Hello {
    type Error = Malformed;

    fn try_from(hello: v1::Hello) -> Result<Self, Malformed> {
        let held = |held: v1::HeldManifest| Ok(HeldManifest { bucket: bucket(held.bucket)?, version: held.version, hash: held.hash });
        Ok(Self {
            protocol: hello.protocol,
            pop: hello.pop.parse().map_err(|error: quorate_core::pop::InvalidPopCode| text("pop", &error))?,
            region: hello.region.parse().map_err(|error: quorate_core::region::UnknownRegion| text("region", &error))?,
            session_epoch: hello.session_epoch,
            boot_id: sixteen("boot_id", &hello.boot_id)?,
            version: hello.version,
            capabilities: hello.capabilities,
            held: hello.held.into_iter().map(held).collect::<Result<_, Malformed>>()?,
        })
    }
}

fn text(field: &'static str, error: &dyn std::error::Error) -> Malformed {
    Malformed::Text { field, detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_introduction_reads_back_and_a_false_region_is_named() {
        let hello = Hello {
            protocol: crate::PROTOCOL,
            pop: "lhr".parse().expect("a code"),
            region: Region::Weu,
            session_epoch: 9,
            boot_id: [7; 16],
            version: "0.1.0".to_owned(),
            capabilities: vec!["http".to_owned()],
            held: vec![HeldManifest { bucket: Bucket::new(1023).expect("a bucket"), version: 3, hash: 4 }],
        };
        let mut wire = v1::Hello::from(&hello);
        assert_eq!(Hello::try_from(wire.clone()), Ok(hello));
        wire.region = "EARTH".to_owned();
        assert!(matches!(Hello::try_from(wire.clone()), Err(Malformed::Text { field: "region", .. })));
        wire.region = "WEU".to_owned();
        wire.held[0].bucket = 1024;
        assert_eq!(Hello::try_from(wire), Err(Malformed::Range { field: "bucket", value: 1024, low: 0, high: 1023 }));
    }
}
