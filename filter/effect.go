package filter

// Does tells what is done for a reason where nothing else is to be said about
// the message, and the key of the configuration that decides it; "" where none
// does.
func (p *Policy) Does(r Reason) (a Action, key string) {
	return p.does(r), setting(r)
}

func (p *Policy) does(r Reason) Action {
	switch r {
	case BareNewline:
		return Reject
	case Blocked:
		return p.Block
	case MalformedHeader:
		return p.MalformedHeader
	case AuthorMissing, AuthorMalformed, AuthorMultiple:
		return p.Author
	case ProtectedAuthor, ProtectedName, ProtectedSender:
		return p.Spoof
	case DMARCFailReject, DMARCFailOther:
		return p.rejectAction(r)
	case DMARCFailQuarantine:
		return p.DMARCQuarantine
	case SPFFail:
		return p.SPFFail
	case DNSTempError:
		return p.TempError
	case SenderMissing:
		return p.SenderMissing
	case SenderNullMX:
		return p.SenderNullMX
	case NoReverseName:
		return p.NoReverseName
	case Unauthenticated:
		return p.Unauthenticated
	case InternalError:
		return Defer
	}
	return Accept
}
