package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The page tells when certificates end, what messages may hold, and the tenants
// before their first mail, and follows a reload.
func TestWatch(t *testing.T) {
	cert, key := localhostPair(t, t.TempDir())
	d := startDaemon(t, freeAddr(t), fmt.Sprintf(`listener.tls_certificate = %q
listener.tls_key = %q
[[tenant]]
name = "customer-1"
recipients = ["example.net"]
`, cert, key))
	has := func(want ...string) {
		t.Helper()
		page := d.get("/metrics")
		for _, w := range want {
			if !strings.Contains(page, w) {
				t.Errorf("/metrics lacks %s", w)
			}
		}
	}
	has(`sekimori_certificate_expiry_timestamp_seconds{certificate="`+cert+`"}`, "sekimori_spool_memory_limit_bytes 2.68435456e+08",
		`sekimori_tenant_messages_total{action="reject",tenant="customer-1"} 0`, "sekimori_protected_domains 0")
	text, err := os.ReadFile(d.file)
	if err != nil {
		t.Fatal(err)
	}
	text = append([]byte("spool.memory_total = \"1MiB\"\n"), strings.ReplaceAll(string(text), "customer-1", "customer-2")...)
	if err := os.WriteFile(d.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.service.reload(); err != nil {
		t.Fatal(err)
	}
	has(`sekimori_tenant_messages_total{action="reject",tenant="customer-2"} 0`, "sekimori_spool_memory_limit_bytes 1.048576e+06",
		`sekimori_reloads_total{result="ok"} 1`)
	if strings.Contains(d.get("/metrics"), "customer-1") {
		t.Error("/metrics still has a tenant that is not configured any more")
	}
}
