"""`reconciliations/upload/`: an invoice is handed in, held against the ledger, and kept in the tenant's schema."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django import forms
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.http import content_disposition_header

from accounts.console.pages import page
from accounts.console.place import Place, place_of
from accounts.roles import Act
from budgets.reconciling.calls import Source
from budgets.selectors.invoice_files import invoice_content
from budgets.selectors.reconciliations import reconciliation
from budgets.services.invoice_files import BYTES_MAX, Invoice
from kernel.pages.amounts import counted_text
from kernel.tenancy import in_tenant
from routing.console.acts import ReasonForm, act_page, done
from routing.observed.reading import SourceRefused
from routing.services.reconciling import Reconciled, Wanted, reconcile

#: Somebody waits for the page, and both sides are in memory.
_BOOKED_MAX: Final = 200_000
_UTC: Final = "UTC"
_TOO_LONG: Final = f"It is longer than {BYTES_MAX // 1024**2} MiB: split it by days, or run manage.py reconcile."
_BUSY: Final = "The database is busy. Nothing was kept: send it again in a moment."
# The last days have no day behind them, and the first ones are before any clock's zone.
_DAYS: Final = (date(2000, 1, 1), date(9000, 1, 1))


class DayField(forms.DateField):
    """A day, or none: then as far as the file goes."""

    def __init__(self, **named: Any) -> None:
        super().__init__(required=False, widget=forms.DateInput(attrs={"type": "date"}), **named)

    def validate(self, value: date | None) -> None:
        super().validate(value)
        if value is not None and not _DAYS[0] <= value <= _DAYS[1]:
            raise forms.ValidationError("There are no books of that day.")


class InvoiceForm(ReasonForm):
    """The file, and what it is about."""

    file = forms.FileField(
        label="Invoice or usage export",
        help_text="CSV in USD, with a line for each call, or for each model and day.",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,text/csv"}),
    )
    provider = forms.CharField(
        max_length=64, required=False, help_text="Of lines that name none, as openai. Only its charges are looked at."
    )
    since = DayField(label="First day", help_text="Left out: as far as the file goes.")
    until = DayField(label="Last day")
    zone = forms.ChoiceField(label="Days are those of", help_text="Providers count in UTC.")
    field_order = ["file", "provider", "since", "until", "zone", "reason"]

    def __init__(self, *args: Any, time_zone: str, **named: Any) -> None:
        super().__init__(*args, **named)
        zones = self.fields["zone"]
        assert isinstance(zones, forms.ChoiceField)
        zones.choices = [(_UTC, _UTC)] + ([(time_zone, time_zone)] if time_zone != _UTC else [])

    def clean_file(self) -> Invoice:
        file = self.cleaned_data["file"]
        if file.size > BYTES_MAX:
            raise forms.ValidationError(_TOO_LONG)
        return Invoice(name=file.name, content=file.read())

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if values.get("since") and values.get("until") and values["until"] < values["since"]:
            self.add_error("until", "This is before the first day.")
        return values


@page(Act.RECONCILE, send=Act.RECONCILE)
def reconciliation_upload(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Sent twice, the file is kept once, and compared twice."""
    place = place_of(request)
    is_sent = request.method == "POST"
    form = InvoiceForm(
        request.POST if is_sent else None, request.FILES if is_sent else None, time_zone=place.tenant.time_zone
    )
    if is_sent and form.is_valid() and (found := _reconciled(place, form)) is not None:
        kept = found.kept
        words = "The ledger and the invoice agree."
        if not found.found.is_clean:
            words = f"The ledger differs from the invoice in {counted_text(len(found.found.differences), 'place')}."
        return done(request, words, place.url("reconciliation", kept.pk))
    return act_page(
        request,
        form,
        section="tenants" if place.is_ops else "statements",
        title="Hold the ledger against an invoice",
        words="What is missing, extra or of another amount is shown and kept, with the file. Nothing is booked by it.",
        button="Compare",
        back=place.url("reconciliation_list"),
        time_zone=place.tenant.time_zone,
    )


@page(Act.EXPORT)
def reconciliation_file(request: HttpRequest, slug: str, reconciliation_id: Any) -> HttpResponse:
    """The file as it was handed in."""
    place = place_of(request)
    with in_tenant(place.tenant.tag):
        kept = reconciliation(reconciliation_id)
        content = invoice_content(kept.digest) if kept is not None and kept.digest else None
    if kept is None or content is None:
        raise Http404
    answer = HttpResponse(content, content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=kept.name) or ""
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def _reconciled(place: Place, form: InvoiceForm) -> Reconciled | None:
    values = form.cleaned_data
    zone = ZoneInfo(values["zone"])
    since, last = values["since"], values["until"]
    wanted = Wanted(
        source=Source.INVOICE,
        invoice=values["file"],
        since=datetime.combine(since, time.min, tzinfo=zone) if since else None,
        until=datetime.combine(last + timedelta(days=1), time.min, tzinfo=zone) if last else None,
        provider=values["provider"].lower(),
        zone=zone,
        booked_max=_BOOKED_MAX,
    )
    try:
        return reconcile(
            tag=place.tenant.tag, wanted=wanted, actor=place.actor(values["reason"]), now=datetime.now(UTC)
        )
    except SourceRefused as refusal:
        form.add_error("file", str(refusal))
    except OperationalError:
        form.add_error(None, _BUSY)
    return None
