/* How granules get from the host to workers that may die between any two steps,
 * and how everybody who sleeps is woken: publish, claim, record, run, settle.
 *
 * Processes: a host that publishes ROWS rows and ends when all are settled; two
 * workers; a nursery that buries them; a killer. A step is one access to what
 * others see, with the private work around it.
 *
 * A store that is followed by a look at the other side may become visible late,
 * as from a store buffer (bed_pending, arm_pending); a fence, a locked
 * instruction or a system call of the same process drains it.
 *
 * Checked: a row is begun once at most and settled once exactly; nobody sleeps
 * while there is something for it to do (a host that is never woken is an
 * invalid end state). Each BUG_... takes one precaution away; then the check has
 * to fail. */

#ifndef ROWS
#define ROWS 2
#endif
#ifndef DEATHS
#define DEATHS 2
#endif
#define WORKERS 2
#define HOLD 2
#define PLACES (ROWS + HOLD * DEATHS)
#define BIT(r) (1 << (r))

#define FREE 0
#define READY 1
#define CLAIMED 2 /* + worker */

#define AWAKE 0
#define ASLEEP 1
#define CALLED 2

/* The ring, without its wraps. */
byte slot[PLACES], row_at[PLACES], head, tail;

/* The workers' records. */
byte note[WORKERS], held[WORKERS], begun[WORKERS];
byte rows[WORKERS * HOLD];
#define ROW(w, i) rows[(w) * HOLD + (i)]

/* The beds: `waits` is sleep in the futex. */
byte bed[WORKERS];
bool bed_pending[WORKERS], waits[WORKERS];

/* Results: a bit a row, published and not yet read. */
byte unread[WORKERS];

/* The bell. */
bool armed, arm_pending, rung;

/* Deaths. */
bool killed[WORKERS], zombie[WORKERS];
byte deaths, log_written, log_read;
byte log_worker[DEATHS + 1], log_rows[DEATHS + 1], log_begun[DEATHS + 1];

/* The ledger. */
bool settled[ROWS];
byte begins[ROWS], unsettled = ROWS;

/* Within an atomic sequence: what a fence does. */
inline drain_bed(w)
{
    if
    :: bed_pending[w] -> bed[w] = ASLEEP; bed_pending[w] = false
    :: else
    fi
}

inline drain_bell()
{
    if
    :: arm_pending -> armed = true; arm_pending = false
    :: else
    fi
}

/* Calls one sleeper, any, in two steps: the caller may die between them. */
inline rouse(v)
{
    atomic {
        if
        :: bed[0] == ASLEEP -> bed[0] = CALLED; v = 1
        :: bed[1] == ASLEEP -> bed[1] = CALLED; v = 2
        :: else -> v = 0
        fi
    };
    if
    :: v > 0 -> atomic { waits[v - 1] = false; v = 0 }
    :: else
    fi
}

proctype worker(byte w)
{
    byte h, t, p, i, v;
start:
    {
        skip;
look:
        atomic {
            h = head;
            t = tail;
            if
            :: h >= t -> h = 0; t = 0; goto rest
            :: else
            fi
        };
        /* The first that is READY; none of those before it will ever be again. */
        atomic {
            p = h;
            do
            :: p < t && slot[p] != READY -> p++
            :: else -> break
            od;
            note[w] = p;
            h = 0;
            i = 0
        };
        do
        :: atomic { i == HOLD || p == t || slot[p] != READY -> break }
#ifdef BUG_CLAIM_IN_TWO_STEPS
        :: atomic { i < HOLD && p < t && slot[p] == READY -> skip };
            atomic { slot[p] = CLAIMED + w; ROW(w, i) = row_at[p]; i++; p++ }
#else
        :: atomic {
                i < HOLD && p < t && slot[p] == READY ->
                slot[p] = CLAIMED + w;
                ROW(w, i) = row_at[p];
                i++;
                p++
            }
#endif
        od;
        atomic {
            if
            :: head < p -> head = p
            :: else
            fi;
            t = 0;
            if
            :: i == 0 -> p = 0; goto look
            :: else
            fi
        };
#ifdef BUG_RELEASE_BEFORE_RECORD
        v = i;
#else
        held[w] = i;
#endif
        do
        :: atomic { i > 0 -> slot[p - i] = FREE; row_at[p - i] = 0; i-- }
        :: atomic { i == 0 -> p = 0; break }
        od;
#ifdef BUG_RELEASE_BEFORE_RECORD
        atomic { held[w] = v; v = 0 };
#endif
        /* More than it holds: somebody else may sleep. */
        if
        :: head < tail -> rouse(v)
        :: else
        fi;
        do
        :: atomic {
                i < held[w] ->
                begun[w] = i + 1;
                begins[ROW(w, i)]++;
                assert(begins[ROW(w, i)] <= 1)
            };
            atomic { unread[w] = unread[w] | BIT(ROW(w, i)); i++ };
            if
            :: atomic { armed -> armed = false };
                rung = true
            :: atomic { !armed -> skip }
            fi
        :: atomic {
                i == held[w] ->
                held[w] = 0;
                begun[w] = 0;
                note[w] = 0;
                ROW(w, 0) = 0;
                ROW(w, 1) = 0;
                i = 0;
                break
            }
        od;
        goto look;
rest:
        atomic {
            bed_pending[w] = true;
#ifndef BUG_NO_FENCE
            drain_bed(w)
#endif
        };
#ifndef BUG_NO_SECOND_LOOK
        if
        :: head < tail -> goto rise
        :: else
        fi;
#endif
        atomic {
            drain_bed(w);
            if
            :: bed[w] == ASLEEP -> waits[w] = true
            :: else
            fi
        };
end_sleep:
        !waits[w];
rise:
        atomic { bed_pending[w] = false; bed[w] = AWAKE };
        goto look
    } unless {
        atomic {
            killed[w] ->
            drain_bed(w);
            waits[w] = false;
            zombie[w] = true;
            h = 0;
            t = 0;
            p = 0;
            i = 0;
            v = 0
        }
    };
end_dead:
    !zombie[w];
    goto start
}

/* Reads what the dead one held, writes it down, and only then clears it away. */
proctype nursery()
{
    byte w, p, v, mask;
end_idle:
    do
    :: zombie[0] || zombie[1] ->
        d_step {
            w = (zombie[0] -> 0 : 1);
            mask = 0;
            p = note[w];
            do
            :: p < PLACES && p < note[w] + HOLD ->
                if
                :: slot[p] == CLAIMED + w -> mask = mask | BIT(row_at[p])
                :: else
                fi;
                p++
            :: else -> break
            od;
            p = begun[w];
            do
            :: p < held[w] -> mask = mask | BIT(ROW(w, p)); p++
            :: else -> break
            od;
            if
            :: begun[w] > 0 -> mask = mask & (255 - BIT(ROW(w, begun[w] - 1)));
                log_begun[log_written] = ROW(w, begun[w] - 1)
            :: else -> log_begun[log_written] = ROWS
            fi;
            log_rows[log_written] = mask;
            log_worker[log_written] = w
        };
        log_written++;
        d_step {
            p = note[w];
            do
            :: p < PLACES && p < note[w] + HOLD ->
                if
                :: slot[p] == CLAIMED + w -> slot[p] = FREE; row_at[p] = 0
                :: else
                fi;
                p++
            :: else -> break
            od;
            held[w] = 0;
            begun[w] = 0;
            note[w] = 0;
            ROW(w, 0) = 0;
            ROW(w, 1) = 0;
            bed[w] = AWAKE;
            p = 0;
            mask = 0
        };
        /* The dead one may have called a sleeper and not woken it, or have been
         * called itself. */
#ifndef BUG_NO_CALL_AGAIN
        atomic {
            if
            :: bed[1 - w] == CALLED -> waits[1 - w] = false
            :: else
            fi
        };
#endif
        if
        :: head < tail -> rouse(v)
        :: else
        fi;
#ifdef BUG_NO_FORCE
        if
        :: armed -> armed = false; rung = true
        :: else
        fi;
#else
        armed = false;
        rung = true;
#endif
        atomic { killed[w] = false; zombie[w] = false; w = 0; v = 0 }
    od
}

inline publish(r)
{
    d_step { row_at[tail] = r; slot[tail] = READY };
    atomic { tail++; drain_bell() };
    rouse(v)
}

inline settle(r)
{
    d_step {
        assert(!settled[r]);
        settled[r] = true;
        unsettled--
    }
}

inline take_results(w)
{
    d_step {
        r = 0;
        do
        :: r < ROWS ->
            if
            :: unread[w] & BIT(r) -> assert(!settled[r]); settled[r] = true; unsettled--
            :: else
            fi;
            r++
        :: else -> break
        od;
        unread[w] = 0;
        r = 0
    }
}

inline take_death()
{
#ifndef BUG_DEATH_BEFORE_RESULTS
    take_results(log_worker[log_read]);
#endif
    if
    :: log_begun[log_read] < ROWS && !settled[log_begun[log_read]] -> settle(log_begun[log_read])
    :: else
    fi;
    r = 0;
    do
    :: r < ROWS ->
        if
        :: log_rows[log_read] & BIT(r) -> assert(!settled[r]); publish(r)
        :: else
        fi;
        r++
    :: else -> break
    od;
    atomic {
        log_rows[log_read] = 0;
        log_begun[log_read] = 0;
        log_worker[log_read] = 0;
        log_read++;
        r = 0
    }
}

#define ANYTHING (unread[0] || unread[1] || log_read < log_written)

proctype host()
{
    byte r, v;
    do
    :: r < ROWS -> publish(r); r++
    :: else -> break
    od;
    do
    :: unsettled == 0 -> break
    :: unsettled > 0 ->
        if
        :: log_read < log_written -> take_death()
        :: log_read == log_written && unread[0] -> take_results(0)
        :: log_read == log_written && unread[1] -> take_results(1)
        :: !ANYTHING ->
            atomic {
                arm_pending = true;
#ifndef BUG_NO_FENCE_AT_BELL
                drain_bell()
#endif
            };
            if
            :: ANYTHING -> skip
            :: else ->
#ifndef BUG_NO_FENCE_AT_BELL
                skip;
#else
                atomic { drain_bell() };
#endif
                rung
            fi;
            d_step { armed = false; arm_pending = false; rung = false; r = 0; v = 0 }
        fi
    od;
    /* Who was called has come. */
    !(waits[0] && bed[0] == CALLED) && !(waits[1] && bed[1] == CALLED)
}

/* Kills DEATHS times; fewer deaths are a check of their own, as a death yet to
 * come would hide that somebody waits in vain. The workers are alike: let the
 * first to die be worker 0. */
proctype killer()
{
end_mercy:
    do
    :: atomic { deaths < DEATHS && !killed[0] -> killed[0] = true; deaths++ }
    :: atomic { deaths > 0 && deaths < DEATHS && !killed[1] -> killed[1] = true; deaths++ }
    od
}

init
{
    atomic {
        run nursery();
        run worker(0);
        run worker(1);
        run host();
        run killer()
    }
}
