-- Values of request headers that open something are sealed under a key that is not in the database.

comment on column monitor.header is
    'Name to list of values; or, where the values are secret, to {"key": id, "sealed": base64 of nonce, ciphertext and tag} (ChaCha20-Poly1305 over the list as JSON, bound to account, monitor and name).';

-- To seal under a new key, and to seal what was stored before it counted as secret.
grant update (header) on monitor to quorate_control;
