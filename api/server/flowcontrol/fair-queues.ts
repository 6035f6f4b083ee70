/**
 * Fair queuing of one priority level (kubernetes: apiserver/pkg/util/flowcontrol/fairqueuing). Progress is measured in
 * virtual time, which runs as fast as each busy queue gets seats: a queue's next request is due, virtually, when its earlier
 * ones have had their work done; the one whose turn ends first goes first. So a request that comes to an empty queue waits
 * for at most what one request of every busy queue takes, however many wait in those. Pure but for its own state: the caller
 * says what time it is, in seconds.
 */
export interface Queued {
  /** Seats it needs while it executes. */
  readonly seats: number;
  /** Called once, when it may go. */
  readonly start: (running: Running) => void;
}

interface Waiting extends Queued {
  readonly queue: Queue;
}

interface Queue {
  readonly waiting: Waiting[];
  executing: number;
  seatsTaken: number;
  /** Virtual time at which its next request may begin. */
  nextStart: number;
}

export interface Running {
  readonly queue: Queue;
  readonly seats: number;
  readonly startedAt: number;
}

/** What a request is taken to take until it is known, in seconds. */
const guess = 0.003;

export class FairQueues {
  readonly #queues: readonly Queue[];
  #virtual = 0;
  #at: number;
  #next = 0;
  #seatsTaken = 0;
  #executing = 0;
  #waitingCount = 0;
  #seatsWaiting = 0;
  #busy = 0;
  #limit: number;

  constructor(
    readonly queues: number,
    limit: number,
    now: number,
  ) {
    this.#limit = limit;
    this.#at = now;
    this.#queues = Array.from({ length: queues }, () => ({ waiting: [], executing: 0, seatsTaken: 0, nextStart: 0 }));
  }

  get seatsTaken(): number {
    return this.#seatsTaken;
  }
  get executing(): number {
    return this.#executing;
  }
  get waiting(): number {
    return this.#waitingCount;
  }
  /** Seats that are taken and that would be if there were more. */
  get demand(): number {
    return this.#seatsTaken + this.#seatsWaiting;
  }
  get limit(): number {
    return this.#limit;
  }

  setLimit(limit: number, now: number): void {
    this.#advance(now);
    this.#limit = limit;
    this.dispatch(now);
  }

  /** Of these queues, the one with the least work before it. */
  leastLoaded(hand: readonly number[]): number {
    let best = hand[0]!;
    if (this.#seatsTaken + this.#waitingCount === 0) return best;
    let least = Number.POSITIVE_INFINITY;
    for (const index of hand) {
      const queue = this.#queues[index]!;
      let work = queue.seatsTaken;
      for (const { seats } of queue.waiting) work += seats;
      if (work < least) [best, least] = [index, work];
    }
    return best;
  }

  lengthOf(index: number): number {
    return this.#queues[index]!.waiting.length;
  }

  /** Whether a request for so many seats could begin now. One that wants more than there are may go when it is alone. */
  fits(seats: number): boolean {
    return this.#seatsTaken + seats <= this.#limit || this.#seatsTaken === 0;
  }

  /** True when nobody waits and the request can go at once; then {@link begin} does it without queuing. */
  isFree(seats: number): boolean {
    return this.#waitingCount === 0 && this.fits(seats);
  }

  begin(index: number, seats: number, now: number): Running {
    this.#advance(now);
    const queue = this.#queues[index]!;
    this.#wake(queue);
    return this.#run(queue, seats, now);
  }

  /** Puts a request at the end of a queue; the function given back takes it out again, and says whether it was still there. */
  enqueue(index: number, request: Queued, now: number): () => boolean {
    this.#advance(now);
    const queue = this.#queues[index]!;
    this.#wake(queue);
    const waiting: Waiting = { ...request, queue };
    queue.waiting.push(waiting);
    this.#waitingCount++;
    this.#seatsWaiting += request.seats;
    return () => {
      const place = queue.waiting.indexOf(waiting);
      if (place < 0) return false;
      queue.waiting.splice(place, 1);
      this.#waitingCount--;
      this.#seatsWaiting -= request.seats;
      this.#rest(queue);
      return true;
    };
  }

  /** Begins as many waiting requests as there are seats for. */
  dispatch(now: number): void {
    this.#advance(now);
    while (this.#waitingCount > 0) {
      const queue = this.#nextQueue();
      const head = queue?.waiting[0];
      if (!queue || !head || !this.fits(head.seats)) return;
      queue.waiting.shift();
      this.#waitingCount--;
      this.#seatsWaiting -= head.seats;
      head.start(this.#run(queue, head.seats, now));
    }
  }

  /** Its seats are free again; what it took in truth replaces what was guessed. */
  finish({ queue, seats, startedAt }: Running, now: number): void {
    this.#advance(now);
    this.#seatsTaken -= seats;
    this.#executing--;
    queue.seatsTaken -= seats;
    queue.executing--;
    queue.nextStart -= (guess - (now - startedAt)) * seats;
    this.#rest(queue);
    this.dispatch(now);
  }

  #run(queue: Queue, seats: number, now: number): Running {
    queue.nextStart += guess * seats;
    queue.seatsTaken += seats;
    queue.executing++;
    this.#seatsTaken += seats;
    this.#executing++;
    return { queue, seats, startedAt: now };
  }

  /** The queue whose oldest request would be done first, virtually; on a tie the one after the last served. */
  #nextQueue(): Queue | undefined {
    let best: Queue | undefined;
    let bestIndex = 0;
    let earliest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#queues.length; i++) {
      const index = (this.#next + i) % this.#queues.length;
      const queue = this.#queues[index]!;
      const head = queue.waiting[0];
      if (!head) continue;
      const end = queue.nextStart + guess * head.seats;
      if (end < earliest) [best, bestIndex, earliest] = [queue, index, end];
    }
    if (best) {
      this.#next = (bestIndex + 1) % this.#queues.length;
      // Nobody gets ahead by having been slower than it was guessed: time that passed unused is lost.
      if (best.nextStart < this.#virtual && best.executing === 0) best.nextStart = this.#virtual;
    }
    return best;
  }

  #wake(queue: Queue): void {
    if (queue.waiting.length > 0 || queue.executing > 0) return;
    this.#busy++;
    queue.nextStart = this.#virtual;
  }

  #rest(queue: Queue): void {
    if (queue.waiting.length === 0 && queue.executing === 0) this.#busy--;
  }

  #advance(now: number): void {
    const passed = now - this.#at;
    if (passed <= 0) return;
    this.#at = now;
    if (this.#busy > 0) this.#virtual += (passed * Math.min(this.demand, this.#limit)) / this.#busy;
  }
}
