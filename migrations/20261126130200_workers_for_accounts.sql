-- Who administers an account may know how the installation's workers do: where they are, whether they are there, how
-- old their release is. Not how much they do, which is about other accounts.

grant select (connected, last_round_at, version) on pop to quorate_app;
grant select (pop_no, replica_id, connected, buckets, buckets_behind) on pop_session to quorate_app;
grant select (replica_id, heartbeat_at) on replica_member to quorate_app;
