"""Runs a program on a terminal and shows what a user sees there.

  screen.py COLUMNS ROWS [--on TEXT ACTION]... -- PROGRAM [ARGS]

The terminal is a small one: it knows the escape sequences that are sent to it by bars, and ends
with a complaint at any other. Once TEXT stands on its screen, ACTION is done, in the order given:
  resize COLUMNS ROWS   the terminal gets another size (what stands there is not wrapped anew)
  send KEYS             with \\xHH for control characters
  touch PATH            that file is made
  await PATH            nothing is read until it exists
  hang-up               the terminal goes away
What is printed: all lines, those that have scrolled away first, then "cursor COLUMN", then "exit N"
or "signal N".
"""
import fcntl, os, pty, re, signal, struct, sys, termios, time, unicodedata

SEQUENCE = re.compile(r"\x1b(?:\[(\??[\d;]*)([A-Za-z])|([78D]))|\x18")
UNFINISHED = re.compile(r"\x1b(?:\[\??[\d;]*)?$")


def width(c):
    if unicodedata.combining(c) or unicodedata.category(c) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1


class Screen:
    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.past, self.lines = [], [[] for _ in range(rows)]
        self.x = self.y = 0
        self.saved = (0, 0)
        self.wraps = True
        self.rest = ""

    def resize(self, columns, rows):
        for line in self.lines:
            del line[columns:]
        while len(self.lines) < rows:
            self.lines.append([])
        while len(self.lines) > rows and self.y < len(self.lines) - 1 and not self.lines[-1]:
            self.lines.pop()
        while len(self.lines) > rows:
            self.past.append(self.lines.pop(0))
            self.y = max(self.y - 1, 0)
        self.columns, self.rows = columns, rows
        self.x, self.y = min(self.x, columns - 1), min(self.y, rows - 1)

    def down(self):
        if self.y < self.rows - 1:
            self.y += 1
        else:
            self.past.append(self.lines.pop(0))
            self.lines.append([])

    def put(self, c):
        n = width(c)
        if n == 0:
            if self.x > 0 and self.lines[self.y]:
                self.lines[self.y][min(self.x, len(self.lines[self.y])) - 1] += c
            return
        if self.x + n > self.columns and self.wraps:
            self.x = 0
            self.down()
        self.x = min(self.x, self.columns - n)
        line = self.lines[self.y]
        line.extend([" "] * (self.x + n - len(line)))
        line[self.x : self.x + n] = [c] + [""] * (n - 1)
        self.x += n

    def control(self, given, final, single):
        n = int(given) if given and given.isdigit() else 0
        if single == "7":
            self.saved = (self.x, self.y)
        elif single == "8":
            self.x, self.y = self.saved
        elif single == "D":
            self.down()
        elif final == "A":
            self.y = max(self.y - max(n, 1), 0)
        elif final == "B":
            self.y = min(self.y + max(n, 1), self.rows - 1)
        elif final == "J" and n == 0:
            del self.lines[self.y][self.x :]
            for y in range(self.y + 1, self.rows):
                self.lines[y] = []
        elif final == "K" and n == 0:
            del self.lines[self.y][self.x :]
        elif final == "h" and given == "?7":
            self.wraps = True
        elif final == "l" and given == "?7":
            self.wraps = False
        elif final != "m":
            raise SystemExit("screen.py: an unknown sequence: %r %r" % (given, final))

    def plain(self, c):
        if c == "\r":
            self.x = 0
        elif c == "\n":
            self.down()
        elif c == "\t":
            self.x = min(self.x // 8 * 8 + 8, self.columns - 1)
        elif c == "\a":
            pass
        elif c < " ":
            raise SystemExit("screen.py: an unknown control character: %r" % c)
        else:
            self.put(c)

    def write(self, data):
        text, at = self.rest + data, 0
        unfinished = UNFINISHED.search(text)
        end = unfinished.start() if unfinished else len(text)
        self.rest = text[end:]
        while at < end:
            found = SEQUENCE.match(text, at)
            if found:
                if found.group() != "\x18":
                    self.control(*found.groups())
                at = found.end()
            else:
                self.plain(text[at])
                at += 1

    def text(self):
        lines = ["".join(line).rstrip() for line in self.past + self.lines]
        while lines and not lines[-1]:
            lines.pop()
        return lines


def keys(text):
    return re.sub(r"\\x(..)", lambda m: chr(int(m.group(1), 16)), text).encode()


def set_size(fd, columns, rows):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def act(action, fd, screen):
    word, _, rest = action.partition(" ")
    if word == "resize":
        columns, rows = map(int, rest.split())
        screen.resize(columns, rows)
        set_size(fd, columns, rows)
    elif word == "send":
        os.write(fd, keys(rest))
    elif word == "touch":
        open(rest, "w").close()
    elif word == "await":
        while not os.path.exists(rest):
            time.sleep(0.01)
    elif word == "hang-up":
        os.close(fd)
        return False
    return True


def watch(fd, screen, actions):
    decoder = __import__("codecs").getincrementaldecoder("utf-8")("replace")
    while True:
        try:
            data = os.read(fd, 4096)
        except OSError:
            return
        if not data:
            return
        screen.write(decoder.decode(data))
        while actions and any(actions[0][0] in line for line in screen.text()):
            if not act(actions.pop(0)[1], fd, screen):
                return


def main(args):
    screen = Screen(int(args[0]), int(args[1]))
    actions, at = [], 2
    while args[at] == "--on":
        actions.append((args[at + 1], args[at + 2]))
        at += 3
    command = args[at + 1 :]
    pid, fd = pty.fork()
    if pid == 0:
        set_size(0, screen.columns, screen.rows)
        os.execvp(command[0], command)
    watch(fd, screen, actions)
    status = os.waitpid(pid, 0)[1]
    print("\n".join(screen.text()))
    print("cursor", screen.x)
    if actions:
        print("never seen:", actions[0][0])
    print("signal %d" % os.WTERMSIG(status) if os.WIFSIGNALED(status) else "exit %d" % os.WEXITSTATUS(status))


main(sys.argv[1:])
