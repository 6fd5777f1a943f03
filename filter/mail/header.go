package mail

// Header is the header block: raw fields in the order received.
type Header struct {
	Fields []Field
	Raw    []byte // all of it, without the blank line that ends it
}

// Field is one header field as it came.
type Field struct {
	Name  string // as written, WSP before the colon removed
	Raw   []byte // the whole field, name to last line end: a slice of Header.Raw
	Value []byte // all after the colon, folding and all, without the last line end: a slice of Raw
}

// Defect is one structural fault of a message.
type Defect string

// The closed set of defects (conformance ids in brackets).
const (
	BareNewline     Defect = "bare_newline"      // a CR or LF alone, anywhere (SM-02)
	HeaderNUL       Defect = "header_nul"        // NUL or another C0 control in the header (MS-10)
	HeaderLine      Defect = "header_line"       // a line that is no field: no colon, bad name, leading WSP, mbox line (MS-04, 05, 07, 08)
	ObsoleteField   Defect = "obsolete_field"    // WSP between name and colon (MS-06)
	DuplicateField  Defect = "duplicate_field"   // a field that may stand once stands twice (MS-03); From is Author's business
	HeaderNotUTF8   Defect = "header_not_utf8"   // 8-bit bytes that are not UTF-8 (MS-22)
	HeaderWithoutNL Defect = "header_unfinished" // the message ends inside the header without a line end
)

// Has tells whether the message has the defect.
func (m *Message) Has(d Defect) bool {
	for _, x := range m.Defects {
		if x == d {
			return true
		}
	}
	return false
}
