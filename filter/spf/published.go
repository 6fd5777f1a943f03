package spf

// published is what the texts at a name are to SPF, read once for all messages:
// immutable.
type published struct {
	count  int // SPF records; only one of them counts
	record record
	err    error // why the one cannot be read
}

func readTexts(txts []string) *published {
	p := &published{}
	one := ""
	for _, txt := range txts {
		if isRecord(txt) {
			p.count++
			one = txt
		}
	}
	if p.count == 1 {
		p.record, p.err = parse(one)
	}
	return p
}

// bytes is the memory that the record holds beside its text.
func (p *published) bytes() int {
	const fixed, perDirective, perMacro = 160, 160, 80
	n := fixed + perDirective*cap(p.record.directives) + perMacro*(cap(p.record.redirect)+cap(p.record.explanation))
	for _, d := range p.record.directives {
		n += perMacro * cap(d.target)
	}
	return n
}
