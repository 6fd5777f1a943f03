# Sieve (RFC 5228), for Dovecot Pigeonhole or Cyrus: quarantined mail goes to
# Junk, tagged mail stays in the inbox with a flag.
require ["fileinto", "imap4flags", "mailbox"];

if header :matches "X-Sekimori-Verdict" "quarantine;*" {
    fileinto :create "Junk";
    stop;
}
if header :matches "X-Sekimori-Verdict" "tag;*" {
    addflag "$Suspicious";
}
