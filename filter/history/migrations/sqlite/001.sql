-- One row a message. Times are milliseconds since 1970 in UTC, spans are microseconds.
CREATE TABLE sekimori_verdict (
    id            INTEGER PRIMARY KEY,
    at            INTEGER NOT NULL,
    node          TEXT    NOT NULL,
    message_id    TEXT    NOT NULL,
    listener      TEXT    NOT NULL,
    client        TEXT    NOT NULL, -- as people write it
    client_key    TEXT    NOT NULL, -- 32 hexadecimal digits of the address as IPv6: networks are ranges
    client_net    TEXT    NOT NULL, -- its /24 or /48
    helo          TEXT    NOT NULL,
    mail_from     TEXT    NOT NULL,
    sender_domain TEXT    NOT NULL, -- of MAIL FROM
    author_domain TEXT    NOT NULL,
    recipients    TEXT    NOT NULL, -- the first ones, divided by spaces
    recipient_count INTEGER NOT NULL,
    size          INTEGER NOT NULL,
    outcome       TEXT    NOT NULL,
    action        TEXT    NOT NULL, -- what was done; '' where no verdict was made
    shadow        TEXT    NOT NULL, -- what would have been done in enforcing mode; '' in it
    reason        TEXT    NOT NULL,
    tenant        TEXT    NOT NULL, -- divided by commas
    protected     TEXT    NOT NULL, -- the protected domain in whose name the message claims to come
    vouched       INTEGER NOT NULL, -- 1: that domain, or else the author's, passes DMARC
    technique     TEXT    NOT NULL,
    spf           TEXT    NOT NULL,
    dkim          TEXT    NOT NULL,
    dmarc         TEXT    NOT NULL,
    reply_code    INTEGER NOT NULL,
    check_us      INTEGER NOT NULL,
    total_us      INTEGER NOT NULL
);
CREATE INDEX sekimori_verdict_at         ON sekimori_verdict (at, id);
CREATE INDEX sekimori_verdict_message_id ON sekimori_verdict (message_id, at, id);
CREATE INDEX sekimori_verdict_client     ON sekimori_verdict (client_key, at, id);
CREATE INDEX sekimori_verdict_outcome    ON sekimori_verdict (outcome, at, id);
CREATE INDEX sekimori_verdict_action     ON sekimori_verdict (action, at, id);
CREATE INDEX sekimori_verdict_shadow     ON sekimori_verdict (shadow, at, id) WHERE shadow <> '';
CREATE INDEX sekimori_verdict_reason     ON sekimori_verdict (reason, at, id);
CREATE INDEX sekimori_verdict_protected  ON sekimori_verdict (protected, at, id) WHERE protected <> '';

-- Whom a message concerns, many of a kind: s senders' domains, r recipients' domains, t tenants.
CREATE TABLE sekimori_party (
    kind    TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    verdict INTEGER NOT NULL REFERENCES sekimori_verdict (id) ON DELETE CASCADE,
    PRIMARY KEY (kind, name, at, verdict)
) WITHOUT ROWID;
CREATE INDEX sekimori_party_verdict ON sekimori_party (verdict);

-- The explanation of a verdict, as JSON.
CREATE TABLE sekimori_detail (
    verdict INTEGER PRIMARY KEY REFERENCES sekimori_verdict (id) ON DELETE CASCADE,
    body    TEXT    NOT NULL
);

-- Sums of five minutes, by what charts are made of.
CREATE TABLE sekimori_tally (
    at        INTEGER NOT NULL, -- their beginning
    node      TEXT    NOT NULL,
    protected TEXT    NOT NULL,
    outcome   TEXT    NOT NULL,
    action    TEXT    NOT NULL,
    shadow    TEXT    NOT NULL,
    reason    TEXT    NOT NULL,
    vouched   INTEGER NOT NULL,
    n         INTEGER NOT NULL,
    PRIMARY KEY (at, node, protected, outcome, action, shadow, reason, vouched)
) WITHOUT ROWID;
