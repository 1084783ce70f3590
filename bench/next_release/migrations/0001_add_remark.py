from django.db import migrations


class Migration(migrations.Migration):
    initial = True
    dependencies = [("budgets", "0001_initial")]
    operations = [migrations.RunSQL("ALTER TABLE reservation ADD COLUMN bench_remark text", migrations.RunSQL.noop)]
