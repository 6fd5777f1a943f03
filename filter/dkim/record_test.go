package dkim

import (
	"fmt"
	"strings"
	"testing"
)

func TestReadKey(t *testing.T) {
	const rsa512 = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL2dFQQaZ1PrHTS7mudwwnqL+21iPmcahz4bcSRikpXx/2ptCpTpubhsZyKcibnPtxiVUPofBbh++kc4Cf//6b0CAwEAAQ=="
	const ed25519 = "JBBVdWMxlhk3hiug8gF4j77TwI3ZYH/Byeee72DjWyk="
	for _, c := range []struct{ text, want string }{
		{"v=DKIM1; p=" + rsa512, "true rsa 512 false false false "},
		{"p=" + rsa512 + "; t=s : y", "true rsa 512 false true true "},
		{"v=DKIM1; k=ed25519; p=" + ed25519, "true ed25519 256 false false false "},
		{"v=DKIM1; k=ed25519; p=" + rsa512, "true ed25519 0 false false false the Ed25519 key has"},
		{"v=DKIM1; p=" + ed25519, "true rsa 0 false false false the key (p=) is not an RSA"},
		{"v=DKIM1; p=", "true rsa 0 true false false the key is revoked"},
		{"v=DKIM1; p=!", "true rsa 0 false false false the key (p=) is not base64"},
		{"v=DKIM1; k=dsa; p=" + rsa512, "true  0 false false false the key's type"},
		{"v=DKIM1; h=sha1; p=" + rsa512, "true rsa 0 false false false the key (h=)"},
		{"v=DKIM2; p=" + rsa512, "false  0 false false false the TXT record is no DKIM key"},
		{"v=spf1 -all", "false  0 false false false the TXT record is no DKIM key"},
		{"", "false  0 false false false the TXT record is no DKIM key"},
	} {
		k, ok := ReadKey(c.text)
		got := fmt.Sprintf("%v %s %d %v %v %v %s", ok, k.Type, k.Bits, k.Revoked, k.Strict, k.Testing, k.Fault)
		if !strings.HasPrefix(got, c.want) || strings.HasSuffix(c.want, " ") && got != c.want {
			t.Errorf("%.60q:\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}
