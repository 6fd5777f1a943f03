package mail

import "slices"

// Defect is one structural fault of a message.
type Defect string

// The closed set of defects (conformance ids in brackets).
const (
	BareNewline     Defect = "bare_newline"      // a CR or LF alone, anywhere (SM-02)
	HeaderNUL       Defect = "header_nul"        // NUL or another C0 control in the header (MS-10)
	HeaderLine      Defect = "header_line"       // a line that is no field: no colon, bad name, leading WSP, mbox line (MS-04, 05, 07, 08)
	ObsoleteField   Defect = "obsolete_field"    // WSP between name and colon (MS-06)
	BlankFold       Defect = "blank_fold"        // a continuation line of nothing but WSP: some take it for the end of the header (RFC 5322 section 3.2.2)
	DuplicateField  Defect = "duplicate_field"   // a field that may stand once stands twice (MS-03); From is Author's business
	HeaderNotUTF8   Defect = "header_not_utf8"   // 8-bit bytes that are not UTF-8 (MS-22)
	HeaderWithoutNL Defect = "header_unfinished" // the message ends inside the header without a line end
	BodyNUL         Defect = "body_nul"          // NUL in the body (MS-10): harmless but for what takes it for an end or drops it
)

// Has tells whether the message has the defect.
func (m *Message) Has(d Defect) bool { return slices.Contains(m.Defects, d) }

// defects is a set of them, one bit each.
type defects uint16

func everyDefect() [9]Defect {
	return [...]Defect{
		BareNewline, HeaderNUL, HeaderLine, ObsoleteField, BlankFold,
		DuplicateField, HeaderNotUTF8, HeaderWithoutNL, BodyNUL,
	}
}

// set adds d if it is there.
func (s *defects) set(there bool, d Defect) {
	if !there {
		return
	}
	all := everyDefect()
	*s |= 1 << slices.Index(all[:], d)
}

// list gives those in the set, nil if there are none.
func (s defects) list() []Defect {
	var l []Defect
	for i, d := range everyDefect() {
		if s&(1<<i) != 0 {
			l = append(l, d)
		}
	}
	return l
}
