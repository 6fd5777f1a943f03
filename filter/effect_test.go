package filter

import "testing"

// The page of rules and the table of decisions are of one mind.
func TestDoes(t *testing.T) {
	p := Policy{
		Author: Tag, MalformedHeader: Quarantine, DMARCReject: Corroborated, DMARCQuarantine: Tag, SPFFail: Quarantine, TempError: Accept,
		Spoof: Reject, Block: Reject, Unauthenticated: Tag, NoReverseName: Quarantine, SenderMissing: Reject, SenderNullMX: Tag,
	}
	for reason, want := range map[Reason]Action{
		BareNewline: Reject, TrustedNetwork: Accept, Blocked: Reject, MalformedHeader: Quarantine, AuthorMissing: Tag, ProtectedName: Reject, Allowed: Accept,
		DMARCPass: Accept, DMARCFailReject: Reject, DMARCFailOther: Quarantine, DMARCFailQuarantine: Tag, DMARCFailNone: Accept, SPFFail: Quarantine,
		DNSTempError: Accept, SenderMissing: Reject, SenderNullMX: Tag, NoReverseName: Quarantine, Unauthenticated: Tag, InternalError: Defer,
	} {
		if got, _ := p.Does(reason); got != want {
			t.Errorf("%s: %v, want %v", reason, got, want)
		}
	}
	// What each rule of the configuration decides, it names.
	for _, reason := range Reasons() {
		zero, key := (&Policy{}).Does(reason)
		if set, _ := p.Does(reason); set != zero && key == "" {
			t.Errorf("%s: nobody knows what decides it", reason)
		}
	}
}
