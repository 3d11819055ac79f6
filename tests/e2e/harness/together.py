"""Many threads at once."""
import threading


def together(count, work):
    """Runs work(number) in so many threads at once; the first fault of any of them fails the test."""
    faults = []

    def run(number):
        try:
            work(number)
        except BaseException as fault:  # pylint: disable=broad-except
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
