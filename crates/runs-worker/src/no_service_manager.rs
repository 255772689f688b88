//! What stands in the place of word to the service manager in a program that was built without it.

pub(crate) fn ready() {}

pub(crate) fn stopping() {}

pub(crate) async fn keep_watchdog() {
    std::future::pending::<()>().await;
}
