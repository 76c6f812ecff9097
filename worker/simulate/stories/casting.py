"""The table of all variants: anomalies and innocents, rule by rule."""

from worker.simulate.life.history import KNOWN_DAYS
from worker.simulate.stories import (
    balance_cast,
    counters,
    moments,
    openings,
    payment_cast,
    security_limits,
    security_lookalikes,
    security_windows,
)
from worker.simulate.stories import (
    lock_money as lock_money_stories,
)
from worker.simulate.stories import (
    lockouts as lockout_stories,
)
from worker.simulate.stories import (
    logins as login_stories,
)
from worker.simulate.stories import (
    retries as retry_stories,
)
from worker.simulate.stories import (
    security as security_stories,
)
from worker.simulate.stories.variant import Plot, Variant, Variants, in_turn, of

UNAUTHORIZED = "unauthorized_transaction"
LOCKOUT = "account_lockout"
CANNOT_LOG_IN = "cannot_log_in"

_BARELY_KNOWN_DAYS = 10
"""A life with 3 logins and 6 debits."""
_UNKNOWN_DAYS = 2
"""A life with nothing in it: room for a story that begins early."""


def _known(*plots: Plot, begins_early: int = 0) -> Variants:
    """Return stories of an owner who is known well."""
    return tuple(
        Variant(rule=UNAUTHORIZED, plot=plot, history_days=KNOWN_DAYS, begins_early=begins_early)
        for plot in plots
    )


def _counted(*plots: Plot) -> Variants:
    """Return stories of an owner whose logins and debits are counted."""
    return tuple(
        Variant(rule=UNAUTHORIZED, plot=plot, history_days=_BARELY_KNOWN_DAYS, alone=True)
        for plot in plots
    )


def _anniversary(days: int, *plots: Plot) -> Variants:
    return tuple(
        Variant(rule=UNAUTHORIZED, plot=plot, history_days=days, alone=True, anniversary=True)
        for plot in plots
    )


def _first_seen(rule: str, *plots: Plot) -> Variants:
    """Return stories that an account begins with."""
    return tuple(Variant(rule=rule, plot=plot, alone=True) for plot in plots)


def _locked_for_days(*plots: Plot) -> Variants:
    return tuple(
        Variant(rule=LOCKOUT, plot=plot, history_days=_UNKNOWN_DAYS, begins_early=1)
        for plot in plots
    )


ANOMALIES = in_turn(
    payment_cast.ANOMALIES,
    balance_cast.ANOMALIES,
    (
        *_known(
            security_stories.new_device_drained,
            security_stories.guessed_password,
            security_stories.credentials_changed,
            security_stories.impossible_travel,
            security_stories.new_country_drained,
        ),
        Variant(rule=UNAUTHORIZED, plot=security_stories.stolen_session, history_days=91),
        *_known(
            security_stories.disputed,
            security_stories.disputed_later,
            security_stories.authorization_failed,
            security_stories.authorization_expired,
            security_stories.not_authorized,
            security_stories.held_then_captured,
            security_stories.who_alone,
            security_limits.five_new_payees,
            security_limits.total_50,
            security_limits.total_80,
            security_limits.total_79,
            security_limits.drained_80_percent,
            security_limits.drained_with_fee,
            security_limits.above_3_times_the_largest,
            security_limits.above_exempt,
            security_limits.five_payees_in_30_minutes,
            security_windows.five_guesses,
            security_windows.guesses_within_30_minutes,
            security_windows.at_901_km_per_hour,
            security_windows.beyond_100_km,
            moments.paid_with_the_login,
        ),
        *_known(
            security_windows.device_24_hours,
            security_windows.country_24_hours,
            security_windows.guessed_24_hours,
            security_windows.changed_24_hours,
            security_windows.travel_24_hours,
            begins_early=1,
        ),
        *_counted(security_limits.five_logins, security_limits.ten_debits),
        *_anniversary(7, security_windows.seven_days_known),
        *_anniversary(90, security_windows.ninety_days_of_sessions),
    ),
    (
        *of(
            LOCKOUT,
            lockout_stories.suspicious_lock,
            retry_stories.locked_after_four,
            lockout_stories.payment_while_locked,
            lockout_stories.refused_after_the_end,
            retry_stories.max_retries_lock,
            lockout_stories.refused_again_and_again,
            lockout_stories.admin_lock,
            lockout_stories.lock_without_reason,
            lockout_stories.sign_in_cures,
            lockout_stories.payment_1_ms_after_the_lock,
            lockout_stories.payment_at_the_end,
            retry_stories.locked_after_none,
            retry_stories.service_failures_do_not_lock,
            retry_stories.success_forgives,
            *lock_money_stories.ANOMALIES,
            *counters.ANOMALIES,
            *openings.ANOMALIES,
        ),
        *_first_seen(LOCKOUT, retry_stories.observed_for_15_minutes_and_1_ms),
        *_locked_for_days(lockout_stories.third_lock_in_24_hours),
    ),
    of(
        CANNOT_LOG_IN,
        login_stories.service_failing,
        login_stories.bad_credentials,
        login_stories.five_in_10_minutes,
        login_stories.half_by_service,
        login_stories.less_than_half_by_service,
        login_stories.success_at_10_minutes_and_1_ms,
        login_stories.logged_twice_across_seconds,
    ),
)
INNOCENTS = in_turn(
    payment_cast.INNOCENTS,
    balance_cast.INNOCENTS,
    (
        *_known(security_lookalikes.traveller, begins_early=1),
        *_known(
            security_lookalikes.new_phone,
            security_lookalikes.relay_network,
            security_lookalikes.typing_errors_then_drained,
            security_lookalikes.new_payee_drained,
            security_lookalikes.big_purchase,
            security_lookalikes.salary_moved_on,
            security_lookalikes.recurring_debit,
            security_lookalikes.typing_errors_then_usual,
            security_lookalikes.own_change_then_usual,
            security_stories.who_alone_below_50,
            security_limits.travel_behind_a_vpn,
            security_limits.travel_behind_a_gateway,
            security_limits.total_49,
            security_limits.drained_less_1_unit,
            security_limits.drained_with_fee_less_1_unit,
            security_limits.exactly_3_times_the_largest,
            security_limits.exempt,
            security_limits.four_new_payees,
            security_limits.five_payees_in_30_minutes_and_1_ms,
            security_windows.four_guesses,
            security_windows.guesses_within_30_minutes_and_1_ms,
            security_windows.at_899_km_per_hour,
            security_windows.within_100_km,
            moments.paid_1_ms_before_the_login,
        ),
        *_known(
            security_windows.device_24_hours_and_1_ms,
            security_windows.country_24_hours_and_1_ms,
            security_windows.guessed_24_hours_and_1_ms,
            security_windows.changed_24_hours_and_1_ms,
            security_windows.travel_24_hours_and_1_ms,
            begins_early=1,
        ),
        *_counted(security_limits.four_logins, security_limits.nine_debits),
        *_first_seen(UNAUTHORIZED, security_lookalikes.too_young),
        *_anniversary(7, security_windows.seven_days_less_1_ms),
        *_anniversary(90, security_windows.ninety_days_less_1_ms),
    ),
    (
        *of(
            LOCKOUT,
            lockout_stories.requested_lock,
            lockout_stories.timed_lock_ends,
            lockout_stories.reserved_before_the_lock,
            lockout_stories.refused_while_locked,
            lockout_stories.refused_within_the_grace,
            lockout_stories.merchant_while_locked,
            lockout_stories.payment_with_the_lock,
            lockout_stories.payment_1_ms_after_the_end,
            lockout_stories.requested_locks_do_not_add_up,
            retry_stories.locked_after_five,
            retry_stories.failed_15_minutes_before,
            retry_stories.failed_15_minutes_and_1_ms_before,
            retry_stories.locked_elsewhere,
            *lock_money_stories.INNOCENTS,
            *counters.INNOCENTS,
            *openings.INNOCENTS,
        ),
        *_first_seen(LOCKOUT, retry_stories.observed_for_15_minutes),
        *_locked_for_days(lockout_stories.third_lock_in_24_hours_and_1_ms),
    ),
    of(
        CANNOT_LOG_IN,
        login_stories.typing_errors,
        login_stories.few_failures,
        login_stories.logged_twice,
        login_stories.success_at_10_minutes,
        login_stories.five_in_10_minutes_and_1_ms,
    ),
)
RULES = len({variant.rule for variant in ANOMALIES})
"""How many rules have stories."""
STORIES = ANOMALIES[:RULES] + in_turn(INNOCENTS, ANOMALIES[RULES:])
"""With too few accounts the first ones are planted: an anomaly of every rule, then both kinds."""
