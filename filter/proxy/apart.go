package proxy

// apart tells whether a recipient's rules differ from those of the recipients
// that the message has already, and which they are.
func (x *session) apart(tx *transaction, rcpt string) (rules string, apart bool) {
	if x.server.Rules == nil {
		return "", false
	}
	rules = x.server.Rules(rcpt)
	return rules, len(tx.env.Rcpts) > 0 && rules != tx.rules
}

// separately lets a client send to the recipient in a message of its own. RFC
// 5321 section 4.5.3.1.10 has it do so, at once, for recipients beyond a limit.
func separately() reply {
	return own(452, "4.5.3", "other rules hold for this recipient than for those before it, send to it separately")
}
