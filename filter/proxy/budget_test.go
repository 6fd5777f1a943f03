package proxy

import (
	"strings"
	"sync/atomic"
	"testing"

	"sekimori/filter"
	"sekimori/filter/mail"
)

// Where the memory of all messages is used up, clients keep their mail: they
// hear so at MAIL, or at the end of a message that was too much. When there is
// room again all goes on, on the same connection, and nothing stays taken.
func TestMemoryOfAllMessages(t *testing.T) {
	budget := mail.NewBudget(64 << 10)
	var shed atomic.Int32
	d := newDoor(t, func(s *Server) {
		s.Spool.Budget = budget
		s.Events.Shed = func(string) { shed.Add(1) }
	})
	k := d.dial().ready()

	budget.Take(60 << 10)
	k.say("MAIL FROM:<a@sender.example>", "452 4.3.1 ")
	if n := shed.Load(); n != 1 {
		t.Errorf("%d were said to be turned away", n)
	}
	budget.Give(60 << 10)
	if got := k.send(letterText); got != accepted {
		t.Errorf("reply %q", got)
	}

	long := letterText + strings.Repeat("0123456789\r\n", 20_000)
	k.say("MAIL FROM:<a@sender.example>", "250")
	k.say("RCPT TO:<b@rcpt.example>", "250")
	budget.Take(60 << 10)
	k.say("DATA", "354")
	k.raw(long + ".\r\n")
	if got := k.hear(); !strings.HasPrefix(got, "452 4.3.1 ") {
		t.Errorf("reply %q", got)
	}
	if r := d.record(2); r.Outcome != filter.Refused || !strings.Contains(r.Err, "budget") {
		t.Errorf("record %+v", r)
	}
	budget.Give(60 << 10)
	if got := k.send(long); got != accepted { // by way of the disk
		t.Errorf("reply %q", got)
	}
	if got := d.mta.got(); len(got) != 2 || !strings.HasSuffix(got[1].data, long[len(letterText):]) {
		t.Errorf("the MTA got %d messages, the last of them not whole", len(got))
	}
	eventually(t, func() bool { return budget.Used() == 0 })
}

func TestDiskOfAllMessages(t *testing.T) {
	disk := mail.NewBudget(100_000)
	d := newDoor(t, func(s *Server) { s.Spool.Memory, s.Spool.Disk = 8<<10, disk })
	k := d.dial().ready()
	if got := k.send(letterText + strings.Repeat("0123456789\r\n", 20_000)); !strings.HasPrefix(got, "452 4.3.1 ") {
		t.Errorf("reply %q", got)
	}
	if got := k.send(letterText + strings.Repeat("0123456789\r\n", 5_000)); got != accepted {
		t.Errorf("reply %q", got)
	}
	eventually(t, func() bool { return disk.Used() == 0 })
}
