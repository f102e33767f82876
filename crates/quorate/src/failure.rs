//! How a command ends: the exit code and the one line that says why.

use std::fmt;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// It could not: exit code 1.
    Failed(anyhow::Error),
    /// It was asked wrongly, or is configured wrongly: exit code 2.
    Usage(anyhow::Error),
}

pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A usage or configuration error in one sentence.
    pub fn usage(sentence: impl fmt::Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self::Usage(anyhow::Error::msg(sentence))
    }

    /// 1 or 2.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
        }
    }
}

/// The whole chain in one line, without a backtrace.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) | Self::Usage(error) => write!(f, "{error:#}"),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Marks an error as the operator's to correct.
pub trait OrUsage<T> {
    fn or_usage(self) -> Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrUsage<T> for std::result::Result<T, E> {
    fn or_usage(self) -> Result<T> {
        self.map_err(|error| Failure::Usage(error.into()))
    }
}
